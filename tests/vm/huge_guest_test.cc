// Guests whose memory is made of huge pages (hugetlb): every verb works, a root's pages are
// protected and stored by 2 MiB, and children have pages of 4 KiB and take nothing of the pool.
#include <fstream>
#include <iterator>
#include <memory>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "linux/world/machine.h"
#include "vm/guest.h"
#include "vm/huge_pages.h"

namespace verso::vm::test {
namespace {

constexpr u64 mib = u64{1} << 20;

TEST(HugePool, TooFewAreRefusedWithWhatToDo) {
    const HugePool pool{.known = true, .total = 10, .free = 6, .reserved = 2};
    EXPECT_TRUE(check_huge_pages(pool, 8 * mib));
    const Result<void> refused = check_huge_pages(pool, 10 * mib);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message,
              "5 huge pages of 2 MiB are needed and 4 can be had; as root: echo 11 "
              ">/proc/sys/vm/nr_hugepages");
    HugePool more = pool;
    more.overcommit = 3;
    more.surplus = 2;
    EXPECT_TRUE(check_huge_pages(more, 10 * mib));
    EXPECT_FALSE(check_huge_pages(more, 12 * mib));
    EXPECT_FALSE(check_huge_pages({}, 2 * mib)) << "a kernel without them";
    EXPECT_FALSE(huge_pool("/nowhere").known);
}

/// The pool is the machine's: its lock is held, and what it was is put back, also if this dies.
class HugeGuests : public Guests {
protected:
    void SetUp() override {
        Guests::SetUp();
        if (IsSkipped()) {
            return;
        }
        const Result<std::shared_ptr<host::Machine>> machine = host::Machine::get();
        constexpr u64 pages = 64 + 8;  // a guest of 128 MiB and one of 16
        if (!machine || !(*machine)->huge_pages(pages)) {
            GTEST_SKIP() << "no hugetlb pages can be had here (root, and 144 MiB of free memory)";
        }
        machine_ = *machine;
    }
    void TearDown() override {
        Guests::TearDown();
        machine_.reset();
    }
    bool has_huge_pages(const std::string& name) const {
        std::ifstream file("/proc/" + std::to_string(pid_of(name)) + "/smaps");
        const std::string text((std::istreambuf_iterator<char>(file)),
                               std::istreambuf_iterator<char>());
        return text.find("KernelPageSize:     2048 kB") != std::string::npos;
    }
    u64 granule_of(const std::string& name) const {
        const Json all = parse_json(vm_yes("ls --json"));
        for (const Json& one : all) {
            if (text_at(one, "name") == name) {
                return number_at(part_at(one, "memory"), "granule_bytes");
            }
        }
        return 0;
    }
    std::shared_ptr<host::Machine> machine_;
};

TEST_F(HugeGuests, EveryVerbWorksAndChildrenHaveSmallPages) {
    boot("one", "", "--huge");
    EXPECT_TRUE(has_huge_pages("one"));
    expect_answer("one", "set first", "word first");
    expect_answer("one", "fill 4", "filled 4");
    const std::string sum = ask_guest("one", "sum", "sum ");
    const Json kept = parse_json(vm_yes("snapshot one s --json"));
    EXPECT_EQ(number_at(part_at(kept, "stood_still"), "granule_bytes"), 2 * mib);
    vm_no("run two --huge --memory 64G -- " + guest_command(),
          "huge pages of 2 MiB are needed and ");
    vm_yes("fork one two --count 2");
    vm_yes("fork two-1 three");
    for (const char* name : {"two-1", "two-2", "three"}) {
        EXPECT_FALSE(has_huge_pages(name)) << name;
        EXPECT_EQ(granule_of(name), page_size) << name;
    }
    expect_answer("one", "set second", "word second");
    expect_answer("one", "fill 4", "filled 4");
    for (const char* name : {"two-1", "three"}) {  // two-2 has read nothing when its source dies
        EXPECT_EQ(ask_guest(name, "sum", "sum "), sum) << name;
    }
    expect_answer("two-1", "set child", "word child");
    vm_yes("snapshot two-1 own");
    expect_answer("two-1", "set later", "word later");
    vm_yes("rewind two-1 own");
    expect_answer("two-1", "get", "word child");
    for (int round = 0; round < 2; ++round) {
        vm_yes("rewind one s");
        expect_answer("one", "get", "word first");
        EXPECT_EQ(ask_guest("one", "sum", "sum "), sum);
        expect_answer("one", "set again", "word again");
    }
    vm_yes("fork one four --from s");
    expect_answer("four", "get", "word first");
    EXPECT_EQ(granule_of("one"), 2 * mib);
    expect_ticking("one");
    kill_guest("one");
    EXPECT_EQ(ask_guest("two-2", "sum", "sum "), sum);
    expect_answer("three", "get", "word first");
}

TEST_F(HugeGuests, AMemfdOfHugePagesOnTheUsersCommandLineIsTaken) {
    vm_yes(
        "run own -- qemu-system-x86_64 -accel tcg -nodefaults "
        "-object memory-backend-memfd,id=m,size=16M,hugetlb=on,prealloc=on "
        "-machine pc,memory-backend=m");
    EXPECT_TRUE(has_huge_pages("own"));
    EXPECT_EQ(granule_of("own"), 2 * mib);
    vm_yes("fork own child");
    EXPECT_FALSE(has_huge_pages("child"));
    EXPECT_NE(pid_of("own"), 0);
}

}  // namespace
}  // namespace verso::vm::test
