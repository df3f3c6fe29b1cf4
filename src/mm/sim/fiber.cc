// Fiber: see the header.
#include "mm/sim/fiber.h"

#include <vector>

#include <sys/mman.h>

#include "base/check.h"

// The sanitizers follow stacks and want to be told of a switch. Whether one is there is asked at
// run time: without it nobody defines these.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are theirs.
extern "C" {
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** fake, const void* low, std::size_t size);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* fake, const void** low, std::size_t* size);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* at, std::size_t size);
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_destroy_fiber(void* fiber);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace verso::mm::sim {
namespace {

/// Frames that AddressSanitizer instruments are several times larger.
constexpr std::size_t stack_bytes = std::size_t{1} << 20;

/// Stacks are kept for the next fiber: making one costs two system calls and its page faults.
class Stacks {
public:
    ~Stacks() {
        for (std::byte* const stack : free_) {
            unmap(stack);
        }
    }
    std::byte* take() {
        if (!free_.empty()) {
            std::byte* const stack = free_.back();
            free_.pop_back();
            return stack;
        }
        // Why safe: fresh memory of our own; its lowest page stays without access as a guard.
        void* const at = ::mmap(nullptr, page_size + stack_bytes, PROT_NONE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        VERSO_CHECK(at != MAP_FAILED, "no memory for a fiber's stack: errno {}", errno);
        std::byte* const stack = static_cast<std::byte*>(at) + page_size;
        // Why safe: within the mapping just made.
        VERSO_CHECK(::mprotect(stack, stack_bytes, PROT_READ | PROT_WRITE) == 0, "errno {}", errno);
        return stack;
    }
    void give_back(std::byte* stack) {
        if (__asan_unpoison_memory_region != nullptr) {  // of frames that never returned
            __asan_unpoison_memory_region(stack, stack_bytes);
        }
        constexpr std::size_t kept_max = 64;
        if (free_.size() < kept_max) {
            free_.push_back(stack);
        } else {
            unmap(stack);
        }
    }

private:
    static void unmap(std::byte* stack) {
        // Why safe: a stack of ours on which nobody runs.
        VERSO_CHECK(::munmap(stack - page_size, page_size + stack_bytes) == 0, "errno {}", errno);
    }
    std::vector<std::byte*> free_;
};

Stacks& stacks() {
    static thread_local Stacks ours;
    return ours;
}

thread_local Fiber* came_from = nullptr;

}  // namespace

Fiber::Fiber() {
    if (__tsan_get_current_fiber != nullptr) {
        race_detector_ = __tsan_get_current_fiber();
    }
}

Fiber::Fiber(std::function<void()> body)
    : body_(std::move(body)), stack_(stacks().take()), low_(stack_), size_(stack_bytes) {
    if (__tsan_create_fiber != nullptr) {
        race_detector_ = __tsan_create_fiber(0);
    }
    VERSO_CHECK(::getcontext(&context_) == 0, "getcontext: errno {}", errno);
    context_.uc_stack.ss_sp = stack_;
    context_.uc_stack.ss_size = stack_bytes;
    context_.uc_link = nullptr;
    const auto self = reinterpret_cast<u64>(this);  // NOLINT: makecontext passes int
    ::makecontext(&context_, reinterpret_cast<void (*)()>(&Fiber::enter), 2,  // NOLINT
                  static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
}

/// AddressSanitizer keeps frames of a stack elsewhere, 11 MiB a fiber, and frees them only when the
/// fiber leaves for good. One that is given up never does, so it is done in its name: as if this
/// thread went there, and left. Programs with threads took 20 GiB in ten minutes without it.
[[gnu::no_sanitize_address]] void Fiber::drop_fake_stack() {
    if (fake_stack_ == nullptr) {
        return;
    }
    void* mine = nullptr;
    const void* low = nullptr;
    std::size_t size = 0;
    __sanitizer_start_switch_fiber(&mine, low_, size_);
    __sanitizer_finish_switch_fiber(fake_stack_, &low, &size);
    __sanitizer_start_switch_fiber(nullptr, low, size);
    __sanitizer_finish_switch_fiber(mine, nullptr, nullptr);
    fake_stack_ = nullptr;
}

Fiber::~Fiber() {
    if (stack_ != nullptr) {
        drop_fake_stack();
        stacks().give_back(stack_);
        if (__tsan_destroy_fiber != nullptr) {
            __tsan_destroy_fiber(race_detector_);
        }
    }
}

void Fiber::switch_to(Fiber& next, bool for_good) {
    came_from = this;
    if (__sanitizer_start_switch_fiber != nullptr) {
        __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_stack_, next.low_, next.size_);
    }
    if (for_good) {
        fake_stack_ = nullptr;  // that freed it
    }
    if (__tsan_switch_to_fiber != nullptr) {
        __tsan_switch_to_fiber(next.race_detector_, 0);
    }
    VERSO_CHECK(::swapcontext(&context_, &next.context_) == 0, "swapcontext: errno {}", errno);
    arrived(fake_stack_);
}

/// The first thing on the stack that was switched to. The main stack's place is learnt here, from
/// whoever left it.
void Fiber::arrived(void* fake_stack) {
    if (__sanitizer_finish_switch_fiber == nullptr) {
        return;
    }
    const void* low = nullptr;
    std::size_t size = 0;
    __sanitizer_finish_switch_fiber(fake_stack, &low, &size);
    if (came_from != nullptr && came_from->stack_ == nullptr) {
        came_from->low_ = low;
        came_from->size_ = size;
    }
}

void Fiber::enter(unsigned high, unsigned low) {
    auto* const self = reinterpret_cast<Fiber*>(u64{high} << 32 | low);  // NOLINT
    self->arrived(nullptr);
    self->body_();
    VERSO_CHECK(false, "a fiber's body returned");
}

}  // namespace verso::mm::sim
