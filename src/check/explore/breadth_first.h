// BreadthFirst: the search itself, whatever a state is. A worker says what follows from a state;
// this says which of that is new, keeps it, and remembers from where it came.
//
//   level n ──blocks──▶ worker ──▶ batch of 64 followers ──prefetch, then ask──▶ Visited
//                                                         new ones ──▶ level n+1, origins
//
// All of level n is done before level n+1 begins, so what is found first is as short as can be. A
// small level is done by one worker in order: searches that end early find the same program each
// time. A state is known by its number; origins lead from each back to a beginning.
//
// Worker, one for each thread:
//   static std::size_t size(const u64* state);                how many words a state has
//   void expand(std::span<const u64> state, u32 number, emit) emit(std::span<const u64>, Label)
//   bool fresh(std::span<const u64> state, Origin)            it is new; false: do not go on there
//   bool enough() const                                       the search may end here
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "base/check.h"
#include "check/explore/level.h"
#include "check/explore/visited.h"

namespace verso::check::explore {

/// Why a level was not finished.
enum class Halt : u8 { no, enough, memory };

template <class Worker>
class BreadthFirst {
public:
    struct Limits {
        u64 memory_bytes = u64{4} << 30;
    };

    BreadthFirst(std::vector<std::unique_ptr<Worker>> workers, Limits limits) : limits_(limits) {
        VERSO_CHECK(!workers.empty(), "nobody to work");
        for (std::unique_ptr<Worker>& one : workers) {
            lanes_.push_back(std::make_unique<Lane>());
            lanes_.back()->worker = std::move(one);
        }
    }

    void add_beginning(std::span<const u64> state, u16 number) {
        Lane& lane = *lanes_.front();
        submit(lane, state, {Origin::none, {number, 0}});
        flush(lane);
        complete_level();
        depth_ = 0;
    }

    /// One more level. Halt::no: all of it was done.
    Halt run_level() {
        next_item_ = 0;
        items_.clear();
        for (u32 block = 0; block < level_.blocks().size(); ++block) {
            items_.push_back({block, 0, 0});
        }
        while (!items_.empty()) {
            halt_ = Halt::no;
            const std::size_t hands = items_.size() < blocks_for_one ? 1 : lanes_.size();
            alone_ = hands == 1;
            work_with(hands);
            if (halt_ != Halt::no) {
                return halt_;
            }
            collect_items();
            if (crowded() && !grow()) {
                return halt_ = Halt::memory;
            }
        }
        level_.clear();
        complete_level();
        return Halt::no;
    }

    u64 states() const { return visited_count_; }
    u64 edges() const {
        u64 sum = 0;
        for (const auto& lane : lanes_) {
            sum += lane->edges;
        }
        return sum;
    }
    unsigned depth() const { return depth_; }
    const Level& level() const { return level_; }
    u64 bytes() const {
        u64 sum = visited_.bytes() + level_.bytes() + origins_.capacity() * sizeof(Origin);
        for (const auto& lane : lanes_) {
            sum += lane->next.bytes() + lane->origins.capacity() * sizeof(Origin);
        }
        return sum;
    }
    const Origin& origin(u32 number) const { return origins_[number]; }
    Worker& worker(std::size_t index) { return *lanes_[index]->worker; }
    const Worker& worker(std::size_t index) const { return *lanes_[index]->worker; }
    std::size_t workers() const { return lanes_.size(); }
    /// Called now and then while a level is done, by whichever thread.
    std::function<void()> on_progress{};
    u64 states_so_far() const { return visited_so_far_.load(std::memory_order_relaxed); }

    // ── for a checkpoint, between two levels ────────────────────────────────────────────────────
    const Visited& visited() const { return visited_; }
    const std::vector<Origin>& origins() const { return origins_; }
    void restore(const std::vector<Fingerprint>& met, std::vector<Origin> origins, Level level,
                 unsigned depth) {
        u64 capacity = Visited::capacity_min;
        while (capacity < 2 * met.size()) {
            capacity *= 2;
        }
        visited_ = Visited(capacity);
        for (const Fingerprint& one : met) {
            visited_.add(one, true);
        }
        visited_count_ = met.size();
        visited_so_far_ = met.size();
        origins_ = std::move(origins);
        level_ = std::move(level);
        level_.number(static_cast<u32>(origins_.size() - level_.states()));
        depth_ = depth;
    }

private:
    static constexpr std::size_t batch = 64;
    static constexpr std::size_t blocks_for_one = 8;  // a level of about 4000 states

    struct Item {
        u32 block;
        u32 word;   // where to go on …
        u32 state;  // … and with which of its states
    };
    struct Pending {
        std::size_t at;
        std::size_t size;
        Fingerprint print;
        Origin origin;
    };
    struct alignas(64) Lane {
        std::unique_ptr<Worker> worker;
        std::vector<u64> words;
        std::vector<Pending> pending;
        Level next;
        std::vector<Origin> origins;
        std::vector<Item> left;
        u64 edges = 0;
        u64 fresh = 0;
    };

    void submit(Lane& lane, std::span<const u64> state, Origin origin) {
        ++lane.edges;
        const Fingerprint print = fingerprint_of(state);
        visited_.prefetch(print);
        lane.pending.push_back({lane.words.size(), state.size(), print, origin});
        lane.words.insert(lane.words.end(), state.begin(), state.end());
    }

    void flush(Lane& lane) {
        u64 fresh = 0;
        for (const Pending& one : lane.pending) {
            if (!visited_.add(one.print, alone_)) {
                continue;
            }
            ++fresh;
            const std::span<const u64> state(lane.words.data() + one.at, one.size);
            if (lane.worker->fresh(state, one.origin)) {
                lane.next.push(state);
                lane.origins.push_back(one.origin);
            }
        }
        lane.pending.clear();
        lane.words.clear();
        lane.fresh += fresh;
        visited_so_far_.fetch_add(fresh, std::memory_order_relaxed);
        if (lane.worker->enough()) {
            stop(Halt::enough);
        }
    }

    void stop(Halt why) {
        Halt expected = Halt::no;
        halt_.compare_exchange_strong(expected, why);
    }
    /// Room for what the lanes may add before they look again.
    bool crowded() const {
        return visited_so_far_.load(std::memory_order_relaxed) * 2 > visited_.capacity();
    }

    void work(Lane& lane) {
        u64 turns = 0;
        for (;;) {
            const u64 taken = next_item_.fetch_add(1, std::memory_order_relaxed);
            if (taken >= items_.size()) {
                break;
            }
            Item item = items_[taken];
            const Level::Block& block = level_.blocks()[item.block];
            while (item.word < block.used) {
                if (halt_ != Halt::no || crowded()) {
                    lane.left.push_back(item);
                    break;
                }
                const u64* const words = block.words.get() + item.word;
                const std::size_t size = Worker::size(words);
                const u32 number = block.first + item.state;
                lane.worker->expand(std::span(words, size), number,
                                    [&](std::span<const u64> next, Label label) {
                                        submit(lane, next, {number, label});
                                    });
                if (lane.pending.size() >= batch || lane.worker->enough()) {
                    flush(lane);
                }
                item.word += static_cast<u32>(size);
                ++item.state;
                if (++turns % 1024 == 0) {
                    look_around();
                }
            }
        }
        flush(lane);
    }

    void look_around() {
        if (on_progress) {
            on_progress();
        }
        const u64 states = states_so_far();
        // Two levels of about the same size, until the older one goes.
        if (visited_.bytes() + states * sizeof(Origin) + level_.bytes() + bytes_of_next() >
            limits_.memory_bytes) {
            stop(Halt::memory);
        }
    }
    u64 bytes_of_next() const {
        const u64 before = visited_count_;
        const u64 mean = level_.states() == 0 ? 0 : level_.bytes() / level_.states() + 1;
        return (states_so_far() - before) * mean;
    }

    void work_with(std::size_t hands) {
        if (hands == 1) {
            work(*lanes_.front());
            return;
        }
        std::vector<std::jthread> threads;
        for (std::size_t i = 1; i < hands; ++i) {
            threads.emplace_back([this, i] { work(*lanes_[i]); });
        }
        work(*lanes_.front());
    }

    void collect_items() {
        std::vector<Item> left;
        for (u64 i = next_item_; i < items_.size(); ++i) {
            left.push_back(items_[i]);
        }
        for (const auto& lane : lanes_) {
            left.insert(left.end(), lane->left.begin(), lane->left.end());
            lane->left.clear();
        }
        items_ = std::move(left);
        next_item_ = 0;
    }

    bool grow() {
        const u64 factor = visited_.bytes() < (u64{64} << 20) ? 4 : 2;
        const u64 larger = visited_.capacity() * factor;
        if (bytes() + larger * Visited::slot_bytes > limits_.memory_bytes) {
            return false;
        }
        visited_.grow(larger);
        return true;
    }

    void complete_level() {
        for (const auto& lane : lanes_) {
            origins_.insert(origins_.end(), lane->origins.begin(), lane->origins.end());
            lane->origins.clear();
            level_.append(std::move(lane->next));
            visited_count_ += lane->fresh;
            lane->fresh = 0;
        }
        VERSO_CHECK(origins_.size() < Origin::none, "{} states", origins_.size());
        level_.number(static_cast<u32>(origins_.size() - level_.states()));
        ++depth_;
    }

    Limits limits_;
    Visited visited_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::vector<Origin> origins_;
    Level level_;
    std::vector<Item> items_;
    std::atomic<u64> next_item_ = 0;
    std::atomic<Halt> halt_ = Halt::no;
    std::atomic<u64> visited_so_far_ = 0;
    u64 visited_count_ = 0;
    bool alone_ = true;
    unsigned depth_ = 0;
};

}  // namespace verso::check::explore
