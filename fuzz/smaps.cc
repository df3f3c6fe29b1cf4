// /proc/self/smaps is written by the kernel, but which fields it has, and what stands in the names
// of mappings, is not ours to choose: the sum must survive any text. Input: two bytes of a range,
// then the text.
#include <cstring>

#include "base/check.h"
#include "linux/calls.h"

using verso::u64;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const u64 begin = u64{data[0]} << 12;
    const u64 end = begin + (u64{data[1]} << 12);
    std::string text(size - 2, '\0');
    std::memcpy(text.data(), data + 2, text.size());
    const verso::kernel::Usage usage = verso::host::sum_usage(text, begin, end);
    VERSO_CHECK(usage.rss % 1024 == 0 && usage.pss % 1024 == 0, "figures are in kB");
    return 0;
}
