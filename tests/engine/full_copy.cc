// The steps of a random history: see the header.
#include "engine/full_copy.h"

#include <algorithm>

namespace verso::test {

namespace {
constexpr std::size_t nodes_max = 7;
constexpr std::size_t frames_max = 10;
constexpr unsigned depth_max = 4;
}  // namespace

FullCopy::FullCopy(Backend backend, u64 seed) : random_(seed) {
    constexpr std::array<u64, 5> sizes{1, 17, 64, 513, 700};
    pages_ = sizes[random_.below(sizes.size())];
    Result<Region> root = Region::create({.size = to_bytes(pages_), .backend = backend});
    if (!root) {
        ADD_FAILURE() << root.error().message;
        return;
    }
    nodes_.push_back({std::move(*root), std::vector<std::byte>(to_bytes(pages_)), 0, Mark{},
                      std::vector<bool>(pages_, true)});
}

void FullCopy::play(unsigned steps) {
    for (unsigned i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
        step();
    }
    for (const Node& node : nodes_) {
        compare(node, "at the end");
    }
    for (const std::unique_ptr<Frame>& frame : frames_) {
        compare(*frame, "at the end");
    }
    while (!frames_.empty() && !testing::Test::HasFailure()) {  // released in random order
        frames_.erase(frames_.begin() + static_cast<std::ptrdiff_t>(random_.below(frames_.size())));
        for (const std::unique_ptr<Frame>& frame : frames_) {
            compare(*frame, "after a release");
        }
    }
    if (testing::Test::HasFailure()) {
        ADD_FAILURE() << pages_ << " pages:" << story_;
    }
}

std::optional<std::size_t> FullCopy::any_node() {
    for (int tries = 0; tries < 20; ++tries) {
        const std::size_t at = random_.below(nodes_.size());
        if (nodes_[at].region) {
            return at;
        }
    }
    return std::nullopt;
}

void FullCopy::step() {
    const std::optional<std::size_t> node = any_node();
    const u64 dice = random_.below(100);
    if (!node) {
        release();
    } else if (dice < 36) {
        store(nodes_[*node]);
    } else if (dice < 40) {
        rewrite(nodes_[*node]);
    } else if (dice < 55) {
        take(*node);
    } else if (dice < 67) {
        fork();
    } else if (dice < 77) {
        rewind(*node);
    } else if (dice < 82) {
        discard(nodes_[*node]);
    } else if (dice < 88) {
        ask_written(nodes_[*node]);
    } else if (dice < 97) {
        release();
    } else if (nodes_.size() > 1) {
        story_ += " destroy" + std::to_string(*node);
        nodes_[*node].region.reset();
    }
    if (!frames_.empty() && random_.chance(4)) {
        compare(*frames_[random_.below(frames_.size())], "afterwards");
    }
}

void FullCopy::store(Node& node) {
    story_ += " store" + std::to_string(&node - nodes_.data());
    const u64 runs = 1 + random_.below(6);
    for (u64 run = 0; run < runs; ++run) {
        const u64 first = random_.below(pages_);
        const u64 count =
            random_.chance(3) ? std::min<u64>(pages_ - first, 1 + random_.below(90)) : 1;
        for (u64 page = first; page < first + count; ++page) {
            const std::size_t at = to_bytes(page) + random_.below(page_size - 8);
            const u64 value = random_.next();
            std::memcpy(node.region->bytes().data() + at, &value, sizeof value);
            std::memcpy(node.truth.data() + at, &value, sizeof value);
            note(node, page);
        }
    }
    if (random_.chance(3)) {
        compare(node, "after stores");
    }
}

/// Much of the region at once: children's chunks move to the layer when they are read next.
void FullCopy::rewrite(Node& node) {
    story_ += " rewrite" + std::to_string(&node - nodes_.data());
    const u64 first = random_.chance(2) ? 0 : random_.below(pages_);
    for (u64 page = first; page < pages_; ++page) {
        const u64 value = random_.next();
        std::memcpy(node.region->bytes().data() + to_bytes(page), &value, sizeof value);
        std::memcpy(node.truth.data() + to_bytes(page), &value, sizeof value);
        note(node, page);
    }
}

void FullCopy::take(std::size_t node) {
    if (frames_.size() >= frames_max) {
        return;
    }
    story_ += " snap" + std::to_string(node);
    Result<Snapshot> taken = nodes_[node].region->snapshot();
    VERSO_ASSERT_OK(taken);
    frames_.push_back(std::make_unique<Frame>(
        Frame{std::move(*taken), nodes_[node].truth, node, nodes_[node].depth}));
}

void FullCopy::fork() {
    if (frames_.empty() || nodes_.size() >= nodes_max) {
        return;
    }
    const Frame& frame = *frames_[random_.below(frames_.size())];
    if (frame.depth >= depth_max) {
        return;
    }
    story_ += " fork" + std::to_string(frame.node) + "->" + std::to_string(nodes_.size());
    Result<Region> child = frame.snapshot.fork();
    VERSO_ASSERT_OK(child);
    nodes_.push_back(
        {std::move(*child), frame.truth, frame.depth + 1, Mark{}, std::vector<bool>(pages_, true)});
    if (random_.chance(2)) {
        compare(nodes_.back(), "after its fork");
    }
}

void FullCopy::rewind(std::size_t node) {
    for (const std::unique_ptr<Frame>& frame : frames_) {
        if (frame->node != node || random_.chance(3)) {
            continue;
        }
        story_ += " rewind" + std::to_string(node);
        for (u64 page = 0; page < pages_; ++page) {
            const std::size_t at = to_bytes(page);
            if (std::memcmp(&nodes_[node].truth[at], &frame->truth[at], page_size) != 0) {
                note(nodes_[node], page);
            }
        }
        const auto rewound = nodes_[node].region->rewind(frame->snapshot);
        VERSO_ASSERT_OK(rewound);
        nodes_[node].truth = frame->truth;
        compare(nodes_[node], "after a rewind");
        return;
    }
}

void FullCopy::discard(Node& node) {
    const u64 first = random_.below(pages_);
    const u64 count = 1 + random_.below(std::min<u64>(pages_ - first, 40));
    story_ += " discard" + std::to_string(&node - nodes_.data());
    const auto gone = node.region->discard({first, count});
    VERSO_ASSERT_OK(gone);
    std::fill_n(node.truth.begin() + static_cast<std::ptrdiff_t>(to_bytes(first)), to_bytes(count),
                std::byte{});
    for (u64 page = first; page < first + count; ++page) {
        note(node, page);
    }
}

void FullCopy::ask_written(Node& node) {
    story_ += " written" + std::to_string(&node - nodes_.data());
    const Result<Written> answer = node.region->written(node.mark);
    VERSO_ASSERT_OK(answer);
    std::vector<bool> named(pages_);
    for (const PageRange& range : answer->ranges) {
        std::fill_n(named.begin() + static_cast<std::ptrdiff_t>(range.first), range.count, true);
    }
    for (u64 page = 0; page < pages_; ++page) {
        EXPECT_TRUE(named[page] || !node.written[page])
            << "page " << page << " was written unnoticed";
    }
    node.mark = answer->mark;
    node.written.assign(pages_, false);
}

void FullCopy::release() {
    if (!frames_.empty()) {
        const std::size_t at = random_.below(frames_.size());
        story_ += " release" + std::to_string(frames_[at]->node);
        frames_.erase(frames_.begin() + static_cast<std::ptrdiff_t>(at));
    }
}

void FullCopy::compare(const Node& node, const char* when) {
    if (node.region) {
        EXPECT_EQ(first_difference(node.region->bytes(), node.truth), pages_)
            << "first wrong page of region " << &node - nodes_.data() << " " << when;
        EXPECT_EQ(node.region->damage(), "");
    }
}

void FullCopy::compare(const Frame& frame, const char* when) {
    const auto bytes = frame.snapshot.bytes();
    VERSO_ASSERT_OK(bytes);
    EXPECT_EQ(first_difference(*bytes, frame.truth), pages_)
        << "first wrong page of a snapshot of region " << frame.node << " " << when;
}

}  // namespace verso::test
