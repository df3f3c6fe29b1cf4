// Fiber: a stack of its own and a way to go on where it stopped. Nothing here decides who runs
// (scheduler.h).
//
//   main stack ──switch_to──▶ fiber a ──switch_to──▶ fiber b        one host thread, one runs
//
// ucontext makes a fiber's first step; it is in the C library everywhere, and no dependency.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include <ucontext.h>

#include "base/types.h"

namespace verso::mm::sim {

class Fiber {
public:
    /// What runs already: the calling thread's own stack.
    Fiber();
    /// Runs `body` when first switched to. It must not return: its last act is a switch for good.
    explicit Fiber(std::function<void()> body);
    ~Fiber();
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    /// From this one, which must be running, to `next`. `for_good`: nobody will come back.
    void switch_to(Fiber& next, bool for_good = false);

private:
    static void enter(unsigned high, unsigned low);
    void arrived(void* fake_stack);
    void drop_fake_stack();

    std::function<void()> body_;
    std::byte* stack_ = nullptr;  // none: the thread's own
    ucontext_t context_{};
    // What the sanitizers are told, where there are any (fiber.cc).
    void* fake_stack_ = nullptr;
    const void* low_ = nullptr;
    std::size_t size_ = 0;
    void* race_detector_ = nullptr;
};

}  // namespace verso::mm::sim
