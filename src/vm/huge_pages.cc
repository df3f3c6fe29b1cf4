// The machine's pool of huge pages: see the header.
#include "vm/huge_pages.h"

#include <algorithm>
#include <fstream>

#include "vm/command_line.h"

namespace verso::vm {

HugePool huge_pool(const std::string& folder) {
    HugePool pool;
    const auto read = [&folder](const char* name, u64& number) {
        return static_cast<bool>(std::ifstream(folder + "/" + name) >> number);
    };
    pool.known = read("nr_hugepages", pool.total) && read("free_hugepages", pool.free) &&
                 read("resv_hugepages", pool.reserved) && read("surplus_hugepages", pool.surplus) &&
                 read("nr_overcommit_hugepages", pool.overcommit);
    return pool;
}

Result<void> check_huge_pages(const HugePool& pool, u64 bytes) {
    if (!pool.known) {
        return fail(ErrorKind::unsupported, 0, "this kernel has no huge pages of 2 MiB (hugetlb)");
    }
    const u64 wanted = bytes / huge_page_bytes;
    const u64 unpromised = pool.free - std::min(pool.reserved, pool.free);
    const u64 more = pool.overcommit - std::min(pool.surplus, pool.overcommit);
    if (unpromised + more >= wanted) {
        return {};
    }
    return fail(ErrorKind::unsupported, 0,
                "{} huge pages of 2 MiB are needed and {} can be had; as root: "
                "echo {} >/proc/sys/vm/nr_hugepages",
                wanted, unpromised + more, pool.total + wanted - unpromised - more);
}

}  // namespace verso::vm
