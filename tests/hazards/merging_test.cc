// Same-page merging takes the protection of an anonymous page away (docs/findings.md,
// merge-forgets), and a child's own pages are anonymous. Found by random programs, not in a rival.
#include <cstring>
#include <fstream>
#include <sstream>

#include <sys/mman.h>
#include <sys/prctl.h>

#include "hazards/hooked.h"

namespace verso::test {
namespace {

constexpr int set_memory_merge = 67;  // PR_SET_MEMORY_MERGE, Linux 6.4

/// "rd wr mr mw me mg …" of the mapping that begins there.
std::string flags_of(const void* address) {
    std::ifstream smaps("/proc/self/smaps");
    std::ostringstream begin;
    begin << std::hex << reinterpret_cast<std::uintptr_t>(address) << '-';
    bool inside = false;
    for (std::string line; std::getline(smaps, line);) {
        if (line.starts_with(begin.str())) {
            inside = true;
        } else if (inside && line.starts_with("VmFlags:")) {
            return line;
        }
    }
    return {};
}

/// Every mapping of this process is merged meanwhile, unless it says no.
class MergeEverything {
public:
    MergeEverything() : on_(::prctl(set_memory_merge, 1, 0, 0, 0) == 0) {}
    ~MergeEverything() {
        if (on_) {
            ::prctl(set_memory_merge, 0, 0, 0, 0);
        }
    }
    MergeEverything(const MergeEverything&) = delete;
    MergeEverything& operator=(const MergeEverything&) = delete;
    bool on() const { return on_; }

private:
    bool on_;
};

TEST(MergingForgetsProtection, AChildsMemoryIsNotMergedWhereEverythingElseOfTheProcessIs) {
    VERSO_NEEDS_USERFAULTFD();
    Hooked hooked;
    Result<Region> source = hooked.create(64);
    VERSO_ASSERT_OK(source);
    write_all(source->bytes(), 1, 0);
    const Result<Snapshot> moment = source->snapshot();
    VERSO_ASSERT_OK(moment);
    const MergeEverything merging;
    if (!merging.on()) {
        GTEST_SKIP() << "PR_SET_MEMORY_MERGE: " << std::strerror(errno)
                     << " (Linux 6.4 with KSM, CAP_SYS_RESOURCE)";
    }
    void* const other =
        ::mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(other, MAP_FAILED);
    const Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    EXPECT_EQ(flags_of(child->bytes().data()).find(" mg"), std::string::npos)
        << flags_of(child->bytes().data());
    ::munmap(other, page_size);
}

}  // namespace
}  // namespace verso::test
