// TableMemory: see the header.
#include "linux/table_memory.h"

#include <cerrno>

#include <sys/mman.h>

namespace verso::host {

Result<TableMemory> TableMemory::of(u64 bytes) {
    // Why safe: a new private mapping; nothing that exists is touched.
    void* const memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return fail(ErrorKind::resource, errno,
                    "there is no memory for a table of {} MiB; allow less", bytes >> 20);
    }
    // Why safe: advice on memory that is ours alone; a refusal only makes it slower.
    (void)::madvise(memory, bytes, MADV_HUGEPAGE);
    return TableMemory(memory, bytes);
}

TableMemory::~TableMemory() {
    if (memory_ != nullptr) {
        // Why safe: it is the mapping made above, and its only owner ends.
        (void)::munmap(memory_, bytes_);
    }
}

}  // namespace verso::host
