// A rewind that is refused on the way: whatever had gone back already is brought forward again, and
// the guest goes on from where it was, with the memory, the disk and the ticks that it had.
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "vm/guest.h"

namespace verso::vm::test {
namespace {

std::string bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {(std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>()};
}

void overwrite(const std::string& path, std::size_t at, const std::string& bytes) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at));
    file << bytes << std::flush;
    ASSERT_TRUE(file.good()) << path;
}

class RefusedRewinds : public Guests {
protected:
    std::string store(const std::string& name) const { return dir().file(name, "store.qcow2"); }

    /// Between `begin` and now no tick is missing, and none comes twice.
    void expect_every_tick_since(const std::string& name, u64 begin) const {
        expect_ticking(name);
        u64 before = 0;
        for (const u64 tick : ticks(name)) {
            if (before >= begin) {
                EXPECT_EQ(tick, before + 1) << name;
            }
            before = tick;
        }
    }

    /// The newest state in the store names a device that no machine has: QEMU resets everything,
    /// loads the processors and half of the devices, and then refuses.
    void damage_half_way(const std::string& name) const {
        const std::size_t at = bytes_of(store(name)).rfind(std::string("serial\0", 7));
        ASSERT_NE(at, std::string::npos);
        overwrite(store(name), at, "no one");
    }

    void expect_refused_half_way(const std::string& name) const {
        vm_yes("snapshot " + name + " good");
        expect_answer(name, "set later", "word later");
        expect_answer(name, "dset later", "disk later");
        vm_yes("snapshot " + name + " bad");
        expect_answer(name, "set now", "word now");
        expect_answer(name, "dset now", "disk now");
        damage_half_way(name);
        const u64 begin = last_tick(name);
        vm_no("rewind " + name + " bad", "goes on from where it was");
        expect_every_tick_since(name, begin);
        expect_answer(name, "get", "word now");
        expect_answer(name, "dget", "disk now");
    }
};

TEST_F(RefusedRewinds, AGuestGoesOnWithWhatItHadWhereQemuRefusesTheDevices) {
    boot("one", "-drive file='" + make_disk("disk") + "',format=qcow2,if=virtio");
    vm_yes("fork one two");
    for (const std::string name : {"one", "two"}) {
        SCOPED_TRACE(name);
        expect_answer(name, "set first", "word first");
        expect_answer(name, "dset first", "disk first");
        expect_refused_half_way(name);
        // What was not damaged can still be gone back to, and forked from.
        vm_yes("rewind " + name + " good");
        expect_answer(name, "get", "word first");
        expect_answer(name, "dget", "disk first");
        expect_ticking(name);
    }
    vm_yes("fork one three --from bad");  // a child has the other form of the device state
    expect_answer("three", "get", "word later");
    expect_answer("three", "dget", "disk later");

    // All that the store has is gone.
    overwrite(store("one"), 65'536, std::string(bytes_of(store("one")).size() - 65'536, '\0'));
    expect_answer("one", "set again", "word again");
    const u64 begin = last_tick("one");
    vm_no("rewind one good", "goes on from where it was");
    expect_every_tick_since("one", begin);
    expect_answer("one", "get", "word again");
    expect_answer("one", "dget", "disk first");
}

TEST_F(RefusedRewinds, AGuestIsNotEvenStoppedWhereTheDiskOfThatMomentIsGone) {
    boot("one", "-drive file='" + make_disk("disk") + "',format=qcow2,if=virtio");
    expect_answer("one", "dset first", "disk first");
    vm_yes("snapshot one s1");  // its disk is the user's own
    expect_answer("one", "dset second", "disk second");
    ASSERT_EQ(std::rename((folder() + "/disk.qcow2").c_str(), (folder() + "/away").c_str()), 0);
    const u64 begin = last_tick("one");
    vm_no("rewind one s1", "No such file or directory");
    expect_every_tick_since("one", begin);
    expect_answer("one", "dget", "disk second");
    ASSERT_EQ(std::rename((folder() + "/away").c_str(), (folder() + "/disk.qcow2").c_str()), 0);
    vm_yes("rewind one s1");
    expect_answer("one", "dget", "disk first");
    vm_yes("fork one two");
    expect_answer("two", "dget", "disk first");
}

}  // namespace
}  // namespace verso::vm::test
