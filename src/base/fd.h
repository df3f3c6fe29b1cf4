// Fd: a file descriptor with one owner. Move-only, never an int by accident, closed exactly once.
// A close that reports EBADF is a bug of ours (somebody closed it behind our back) and aborts;
// EINTR is success on Linux (the descriptor is gone); other errors belong to a file's late
// write-back and concern no memfd or socket.
#pragma once

#include <utility>

namespace verso {

class Fd {
public:
    Fd() = default;
    explicit Fd(int number) : number_(number) {}
    Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset();
            number_ = std::exchange(other.number_, -1);
        }
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    int get() const { return number_; }
    bool valid() const { return number_ >= 0; }
    int release() { return std::exchange(number_, -1); }
    void reset();

    /// Tests replace close(2) to see what a failing one does; nullptr restores it.
    using Closer = int (*)(int);
    static void set_closer_for_testing(Closer closer);

private:
    int number_ = -1;
};

}  // namespace verso
