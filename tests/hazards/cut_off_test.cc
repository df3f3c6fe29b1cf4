// Somebody shuts the socket between a source and a child that both go on, while a chunk of the
// child moves to the frozen layer. The chunk is then registered with nobody, for a moment, or for
// good where that step is refused; a source that took this for the child's end would give the layer
// up that the child reads. Found by `verso swarm`, seed 180645749 at commit eb3b0f5.
#include <optional>

#include <sys/socket.h>

#include "engine/importer.h"
#include "hazards/hooked.h"
#include "support/peer.h"

namespace verso::test {
namespace {

using kernel::Call;
using kernel::Op;

constexpr u64 seed = 41;
constexpr u64 pages = 24;  // one chunk

/// A source at version 1, and a child of its version 0 that the source serves, in one process but
/// with a runtime each.
class CutOff : public testing::Test {
protected:
    void SetUp() override {
        VERSO_NEEDS_LIVE_CHILDREN();
        Result<Region> source = sources_.create(pages, Tracking::contents, Backend::userfaultfd);
        ASSERT_TRUE(source.has_value()) << source.error().message;
        source_ = std::move(*source);
        write_all(source_->bytes(), seed, 0);
        Result<Snapshot> moment = source_->snapshot();
        ASSERT_TRUE(moment.has_value()) << moment.error().message;
        std::thread exporting([&] {
            const Result<void> done = moment->export_fork(sockets_.first.get(), 5'000);
            EXPECT_TRUE(done.has_value()) << done.error().message;
        });
        Result<std::shared_ptr<engine::Region>> child =
            engine::import_child(childs_.runtime, sockets_.second.get(), {});
        exporting.join();
        ASSERT_TRUE(child.has_value()) << child.error().message;
        child_ = std::move(*child);
        write_all(source_->bytes(), seed, 1);  // from here on only the child keeps the layer
    }
    void shut_the_socket() {
        // Why safe: a socket of the test's own, of which the two runtimes have copies.
        ASSERT_EQ(::shutdown(sockets_.first.get(), SHUT_RDWR), 0);
        std::this_thread::sleep_for(std::chrono::milliseconds(200));  // the source looks
    }
    bool child_is_right() { return holds(child_->bytes(), seed, 0); }
    /// Is `call` the step after the mapping of a moved chunk?
    bool registers_the_chunk(const Call& call) const {
        return call.op == Op::uffd_register && call.address == child_->base();
    }

    Hooked sources_;
    Hooked childs_;
    std::pair<Fd, Fd> sockets_ = socket_pair();
    std::optional<Region> source_;
    std::shared_ptr<engine::Region> child_;
};

TEST_F(CutOff, TheSourceKeepsTheLayerWhileAChunkOfTheChildMoves) {
    Gate gate(childs_.kernel, [this](const Call& call) { return registers_the_chunk(call); });
    bool right = false;
    std::thread reader([&] { right = child_is_right(); });
    gate.wait_for_arrival();
    shut_the_socket();
    EXPECT_EQ(sources_.runtime.services(), 1U) << "the source took the child for gone";
    gate.open();
    reader.join();
    EXPECT_TRUE(right);
}

TEST_F(CutOff, TheSourceKeepsTheLayerOfAChunkThatNobodyCouldRegister) {
    childs_.kernel.fail({.outcome = {kernel::Verdict::no_memory, ENOMEM, 0, 0},
                         .only = kernel::OpSet{Op::uffd_register},
                         .times = 3});
    EXPECT_TRUE(child_is_right());
    EXPECT_EQ(childs_.kernel.delivered(), 3U) << "no chunk has moved";
    shut_the_socket();
    EXPECT_EQ(sources_.runtime.services(), 1U) << "the source took the child for gone";
    EXPECT_TRUE(child_is_right());
}

TEST_F(CutOff, TheSourceGivesTheLayerUpWhenTheChildEnds) {
    EXPECT_TRUE(child_is_right());
    shut_the_socket();
    child_.reset();
    unsigned looks = 0;
    while (sources_.runtime.services() != 0 && looks < 500) {
        ++looks;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_LT(looks, 500U) << "the source keeps a layer for nobody";
}

}  // namespace
}  // namespace verso::test
