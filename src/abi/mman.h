// Advice to madvise(2) that is newer than the distribution's headers, with the release of each.
#pragma once

namespace verso::abi {

struct Madvise {
    static constexpr int cold = 20;            // 5.4
    static constexpr int pageout = 21;         // 5.4
    static constexpr int populate_read = 22;   // 5.14
    static constexpr int populate_write = 23;  // 5.14
    static constexpr int collapse = 25;        // 6.1
    static constexpr int guard_install = 102;  // 6.13
    static constexpr int guard_remove = 103;   // 6.13
};

}  // namespace verso::abi
