// Fd: a file descriptor with one owner. Move-only, never an int by accident, closed exactly once.
// A close that reports EBADF is a bug of ours (somebody closed it behind our back) and aborts;
// EINTR is success on Linux (the descriptor is gone); other errors belong to a file's late
// write-back and concern no memfd or socket.
//
// Not every number is the operating system's. A simulated kernel hands out numbers of its own, so
// far up that no process has them (fs.nr_open is 2^20 as shipped), and Fd closes those through the
// table that they came from:
//
//   0 … 2^24          close(2)
//   2^24 + k × 2^20   table k, if one is installed; worlds come and go, up to 64 at a time
#pragma once

#include <utility>

namespace verso {

/// Descriptors that are not the operating system's. Numbers [base, base + size) are this table's as
/// long as it lives; it must outlive every Fd that holds one of them.
class DescriptorTable {
public:
    static constexpr int first = 1 << 24;
    static constexpr int size = 1 << 20;
    static constexpr int tables_max = 64;

    DescriptorTable();
    virtual ~DescriptorTable();
    DescriptorTable(const DescriptorTable&) = delete;
    DescriptorTable& operator=(const DescriptorTable&) = delete;

    int base() const { return base_; }
    /// As close(2): 0, or -1 and errno.
    virtual int close_number(int number) = 0;

private:
    int base_;
};

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

private:
    int number_ = -1;
};

}  // namespace verso
