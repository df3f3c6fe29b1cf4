// What goes over the sockets between a world's owner and its processes: flat values, one after the
// other, in messages that begin with their length. Both ends are the same program, so a value
// travels as its bytes are.
//
//   owner ── Question{kind, call, sizes} in fds waits ──────────────────▶ process
//         ◀─ Answer{outcome, usage, sizes} out events runs waits regions ──
//
// One question is under way per socket, so whatever arrives belongs to one message. A byte stream
// and not packets, because a page map of 2 GiB is one answer of 4 MiB.
#pragma once

#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "base/check.h"
#include "kernel/kernel.h"

namespace verso::host {

enum class Received { whole, closed, timed_out };

/// A message being written or read. Kept by its user from one to the next: no memory is allocated
/// in the long run.
class Message {
public:
    Message() { clear(); }

    void reserve(std::size_t bytes) { bytes_.reserve(bytes); }
    void clear() {
        bytes_.resize(sizeof(u64));
        at_ = sizeof(u64);
    }
    template <class T>
    void put(std::span<const T> values) {
        static_assert(std::is_trivially_copyable_v<T>);
        const std::size_t begin = bytes_.size();
        bytes_.resize(begin + values.size_bytes());
        if (!values.empty()) {
            std::memcpy(bytes_.data() + begin, values.data(), values.size_bytes());
        }
    }
    template <class T>
    void put_one(const T& value) {
        put(std::span<const T>(&value, 1));
    }
    template <class T>
    void take(std::span<T> values) {
        static_assert(std::is_trivially_copyable_v<T>);
        VERSO_CHECK(values.size_bytes() <= bytes_.size() - at_, "a message of {} bytes ends at {}",
                    bytes_.size(), at_);
        if (!values.empty()) {
            std::memcpy(values.data(), bytes_.data() + at_, values.size_bytes());
        }
        at_ += values.size_bytes();
    }
    template <class T>
    T take_one() {
        T value{};
        take(std::span<T>(&value, 1));
        return value;
    }

private:
    friend bool send(int, Message&, int);
    friend Received receive(int, Message&, Fd*);
    std::vector<std::byte> bytes_;  // the first eight: the length of all
    std::size_t at_ = 0;            // where the next value is taken from
};

/// False if the other end is gone. `passed`: a descriptor that goes along, or -1.
bool send(int socket, Message& message, int passed = -1);
/// `passed`: where a descriptor that came along goes.
Received receive(int socket, Message& message, Fd* passed);

enum class Ask : u32 {
    perform,  // the call
    thread,   // a thread that serves the socket that came along
    fork,     // … a process
    spin,     // use the processor for call.aux milliseconds
    move,     // let the kernel migrate the pages of call.address, call.length
};
struct Question {
    Ask ask = Ask::perform;
    kernel::Call call{};
    bool scan = false;
    u64 in = 0, out = 0, fds = 0, events = 0, runs = 0, waits = 0, regions = 0;  // elements
};
struct Answer {
    kernel::Outcome outcome{};
    kernel::Usage usage{};
    u64 out = 0, events = 0, runs = 0, waits = 0, regions = 0;  // elements
};

void put_question(Message& message, const kernel::Call& call, const kernel::Payload& payload);
/// Fills what the payload's spans and pointers lead to.
kernel::Outcome take_answer(Message& message, const kernel::Payload& payload);

}  // namespace verso::host
