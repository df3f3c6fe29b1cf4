// What is read out of the user's QEMU command line, and what is added to it.
#include <algorithm>

#include <gtest/gtest.h>

#include "vm/command_line.h"

namespace verso::vm::test {
namespace {

constexpr u64 mib = u64{1} << 20;

std::vector<std::string> words(std::vector<std::string> more) {
    more.insert(more.begin(), "qemu-system-x86_64");
    return more;
}

std::string value_after(const std::vector<std::string>& command, const std::string& option) {
    const auto at = std::find(command.begin(), command.end(), option);
    return at == command.end() || at + 1 == command.end() ? "" : *(at + 1);
}

std::string refused(std::vector<std::string> more, u64 memory = 0) {
    const Result<CommandLine> line = read_command_line(words(std::move(more)), memory);
    return line ? "" : line.error().message;
}

TEST(CommandLine, MemoryIsWhatTheUserSaysOnceOrTheDefault) {
    EXPECT_EQ(read_command_line(words({}), 0)->memory_bytes, memory_bytes_default);
    EXPECT_EQ(read_command_line(words({}), 64 * mib)->memory_bytes, 64 * mib);
    EXPECT_EQ(read_command_line(words({"-m", "96"}), 0)->memory_bytes, 96 * mib);
    EXPECT_EQ(read_command_line(words({"--m", "size=1G"}), 0)->memory_bytes, 1024 * mib);
    EXPECT_EQ(read_command_line(words({"-m", "64M"}), 64 * mib)->memory_bytes, 64 * mib);
    EXPECT_NE(refused({"-m", "64M"}, 128 * mib), "");
    EXPECT_NE(refused({"-m", "64M,maxmem=1G,slots=2"}), "");
    EXPECT_NE(refused({"-m", "much"}), "");
    EXPECT_NE(refused({"-m", "100K"}), "");
}

TEST(CommandLine, AMemfdAMonitorAndAConsoleAreAdded) {
    const CommandLine line = *read_command_line(words({"-machine", "pc,hpet=off"}), 64 * mib);
    const std::vector<std::string> command = command_for(line, "/run/a,b", line.drives, false);
    EXPECT_EQ(value_after(command, "-machine"), "pc,hpet=off,memory-backend=verso-ram");
    EXPECT_EQ(value_after(command, "-object"),
              "memory-backend-memfd,id=verso-ram,size=67108864,share=on");
    EXPECT_EQ(value_after(command, "-m"), "64M");
    EXPECT_EQ(value_after(command, "-qmp"), "unix:/run/a,,b/qmp.sock,server=on,wait=off");
    EXPECT_EQ(value_after(command, "-serial"), "chardev:verso-console");
    EXPECT_EQ(value_after(command, "-incoming"), "");
    EXPECT_EQ(value_after(command_for(line, "/run/x", line.drives, true), "-incoming"), "defer");
}

TEST(CommandLine, TheUsersOwnMemfdIsTaken) {
    const CommandLine line =
        *read_command_line(words({"-object", "memory-backend-memfd,id=ram,size=32M,share=on",
                                  "-machine", "q35,memory-backend=ram"}),
                           0);
    EXPECT_EQ(line.memory_bytes, 32 * mib);
    const std::vector<std::string> command = command_for(line, "/run/x", {}, false);
    EXPECT_EQ(value_after(command, "-machine"), "q35,memory-backend=ram");
    EXPECT_EQ(std::count(command.begin(), command.end(), "-object"), 1);
}

TEST(CommandLine, MemoryThatIsNoSharedMemfdIsRefused) {
    EXPECT_NE(refused({"-object", "memory-backend-ram,id=a,size=32M"}), "");
    EXPECT_NE(refused({"-object", "memory-backend-file,id=a,size=32M,mem-path=/x"}), "");
    EXPECT_NE(refused({"-object", "memory-backend-memfd,id=a,size=32M,share=off"}), "");
    EXPECT_NE(refused({"-object", "memory-backend-memfd,id=a,size=32M"}), "");  // not its RAM
    EXPECT_EQ(refused({"-object", "rng-random,id=a"}), "");
}

TEST(CommandLine, HugePagesAreForRootsByTheOptionOrByTheUsersOwnMemfd) {
    const CommandLine line = *read_command_line(words({}), 64 * mib, true);
    EXPECT_TRUE(line.huge);
    EXPECT_EQ(value_after(command_for(line, "/run/x", {}, false), "-object"),
              "memory-backend-memfd,id=verso-ram,size=67108864,share=on,hugetlb=on,hugetlbsize=2M");
    EXPECT_EQ(value_after(command_for(line, "/run/x", {}, true), "-object"),
              "memory-backend-memfd,id=verso-ram,size=67108864,share=on");

    const std::string own = "memory-backend-memfd,id=ram,size=32M,hugetlb=on";
    const CommandLine users = *read_command_line(
        words({"-object", own + ",prealloc=on", "-machine", "q35,memory-backend=ram"}), 0);
    EXPECT_TRUE(users.huge);
    EXPECT_EQ(value_after(command_for(users, "/run/x", {}, false), "-object"),
              own + ",prealloc=on");
    EXPECT_EQ(value_after(command_for(users, "/run/x", {}, true), "-object"),
              "memory-backend-memfd,id=ram,size=32M");
    EXPECT_NE(refused({"-object", own + ",hugetlbsize=1G", "-machine", "memory-backend=ram"}), "");
    EXPECT_FALSE(read_command_line(words({"-object", "memory-backend-memfd,id=ram,size=32M",
                                          "-machine", "memory-backend=ram"}),
                                   0, true));
    EXPECT_FALSE(read_command_line(words({}), 33 * mib, true)) << "not whole huge pages";
    EXPECT_FALSE(read_command_line(words({}), 33 * mib)->huge);
}

TEST(CommandLine, WhatAChildCouldNotHaveIsRefused) {
    for (const char* option : {"-daemonize", "-incoming", "-serial", "-monitor", "-qmp",
                               "-nographic", "-pidfile", "--mem-path"}) {
        EXPECT_NE(refused({option, "x"}), "") << option;
    }
    EXPECT_FALSE(read_command_line({}, 0));
}

TEST(CommandLine, AChildsWritableDrivesGetItsOwnFilesAndNothingElseChanges) {
    const CommandLine line = *read_command_line(
        words({"-drive", "file=/a,,b.qcow2,format=qcow2,if=virtio,cache=none", "-drive",
               "file=/cd.iso,media=cdrom", "-drive", "if=virtio,readonly=on,file=/base.img"}),
        0);
    ASSERT_EQ(line.drives.size(), 1U);
    EXPECT_EQ(line.drives[0], (Drive{2, "/a,b.qcow2"}));
    const std::vector<std::string> same = command_for(line, "/run/x", line.drives, false);
    EXPECT_EQ(same[2], line.words[2]);
    const std::vector<std::string> child =
        command_for(line, "/run/x", {{2, "/run/x/disk-1.qcow2"}}, true);
    EXPECT_EQ(child[2], "if=virtio,cache=none,file=/run/x/disk-1.qcow2,format=qcow2");
    EXPECT_EQ(child[4], line.words[4]);
    EXPECT_EQ(child[6], line.words[6]);
}

TEST(CommandLine, OptionsReadBackAsTheyAreWritten) {
    for (const char* text : {"pc", "pc,a=b", "file=/a,,b,if=none", "a=,b=c=d"}) {
        EXPECT_EQ(write_options(read_options(text)), text);
    }
}

}  // namespace
}  // namespace verso::vm::test
