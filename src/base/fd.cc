// Fd's close: see the header for which errors matter and why.
#include "base/fd.h"

#include <atomic>
#include <cerrno>

#include <unistd.h>

#include "base/check.h"

namespace verso {
namespace {
std::atomic<Fd::Closer> closer{&::close};
}  // namespace

void Fd::set_closer_for_testing(Closer replacement) {
    closer = replacement != nullptr ? replacement : &::close;
}

void Fd::reset() {
    if (number_ < 0) {
        return;
    }
    const int number = std::exchange(number_, -1);
    // Why safe: this object is the only owner of the number, so nobody else can be using it.
    if (closer.load()(number) != 0) {
        VERSO_CHECK(errno != EBADF, "descriptor {} was closed by someone else", number);
    }
}

}  // namespace verso
