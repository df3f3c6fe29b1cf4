// The writer's loop: one store, one clock reading, one histogram bucket, about 30 ns a turn.
#include "cli/bench/harness/writer.h"

#include "cli/bench/harness/clock.h"

namespace verso::cli::bench {

namespace {

class PageChoice {
public:
    PageChoice(Habit habit, u64 pages, u64 seed) : habit_(habit), pages_(pages), dice_(seed) {}
    u64 next() {
        switch (habit_) {
            case Habit::sequential: return at_ = at_ + 1 < pages_ ? at_ + 1 : 0;
            case Habit::hot_set:
                // Every tenth page is hot, so that the hot set is scattered.
                if (pages_ >= 10 && dice_.below(10) != 0)
                    return dice_.below(pages_ / 10) * 10;
                return dice_.below(pages_);
            case Habit::random: return dice_.below(pages_);
        }
        return 0;
    }

private:
    Habit habit_;
    u64 pages_;
    u64 at_ = 0;
    Dice dice_;
};

}  // namespace

Writer::Writer(std::span<std::byte> bytes, Habit habit, u64 seed)
    : bytes_(bytes), thread_([this, habit, seed] { run(habit, seed); }) {}

void Writer::stop() {
    stopping_.store(true, std::memory_order_release);
    if (thread_.joinable())
        thread_.join();
}

void Writer::run(Habit habit, u64 seed) {
    PageChoice choice(habit, to_pages(bytes_.size()), seed);
    // One clock reading per store: the end of one is the beginning of the next. A measured
    // duration therefore includes the loop, about as much as the store itself; both sides pay it
    // alike. The phase is read on the far side of both readings: wherever the thread is preempted,
    // the pause is counted in every phase it touched.
    unsigned phase_before = phase_.load(std::memory_order_acquire);
    u64 before = stamp_ns();
    for (u64 count = 1; !stopping_.load(std::memory_order_relaxed); ++count) {
        auto* word = reinterpret_cast<u64*>(bytes_.data() + to_bytes(choice.next()));
        std::atomic_ref<u64>(*word).store(count, std::memory_order_relaxed);
        const unsigned phase_next = phase_.load(std::memory_order_acquire);
        const u64 after = stamp_ns();
        const unsigned phase_after = phase_.load(std::memory_order_acquire);
        for (unsigned phase = phase_before; phase <= phase_after; ++phase)
            stores_[phase].add(after - before);
        phase_before = phase_next;
        before = after;
        done_.store(count, std::memory_order_relaxed);
    }
}

void sleep_ms(u64 ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

}  // namespace verso::cli::bench
