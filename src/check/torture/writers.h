// An instance's writers: two threads that go on writing whatever else happens (course.h), and
// measure what single stores take.
//
//   while a snapshot is being taken   every store is timed (40 ns each)
//   otherwise                         the first store to each page, which is the one that faults
//
// Writers rest between bursts, for as long as the number of writers in a run and of processors
// makes it: all that runs would otherwise be writers, and no child would ever be verified.
#pragma once

#include <array>
#include <atomic>
#include <span>
#include <thread>

#include "check/torture/shared.h"

namespace verso::check::torture {

class Writers {
public:
    /// `rest`: how many times as long as a burst a writer rests.
    Writers(std::span<std::byte> memory, const Layout& layout, const Shared::Header& header,
            Slot& slot, u64 rest);
    ~Writers() { stop(); }
    Writers(const Writers&) = delete;
    Writers& operator=(const Writers&) = delete;

    Progress progress() const;
    /// Returns when both have completed their steps and stand still.
    void pause();
    void resume();
    /// The memory is as it was at that moment; they are paused.
    void rewound_to(const Progress& moment);
    void stop();

    /// Times every store while it lives.
    class Watch {
    public:
        explicit Watch(Writers& writers) : writers_(writers) { writers_.watches_.fetch_add(1); }
        ~Watch() { writers_.watches_.fetch_sub(1); }
        Watch(const Watch&) = delete;
        Watch& operator=(const Watch&) = delete;

    private:
        Writers& writers_;
    };

private:
    void work(unsigned writer);
    bool may_write(unsigned writer);
    void step(unsigned writer, u64 number);
    void store(unsigned writer, u64* at, u64 value, bool first);

    const std::span<std::byte> memory_;
    const Layout& layout_;
    const Shared::Header& header_;
    Slot& slot_;
    const u64 rest_;
    std::array<std::atomic<u64>, writers_per_instance> done_{};  // steps
    std::array<std::atomic<bool>, writers_per_instance> standing_{};
    std::atomic<u32> watches_{0};
    std::atomic<bool> paused_{false};
    std::atomic<bool> ending_{false};
    std::array<std::thread, writers_per_instance> threads_;
};

/// Writes what the memory holds before any step.
void write_beginning(std::span<std::byte> memory, const Layout& layout);

u64 now_ns();

}  // namespace verso::check::torture
