// State that other shells, and processes that were killed, leave behind.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/shell.h"
#include "vm/record.h"
#include "vm/runtime_dir.h"
#include "vm/server.h"
#include "vm/socket.h"
#include "vm/verbs.h"

namespace verso::vm::test {
namespace {
namespace fs = std::filesystem;

class State : public testing::Test {
protected:
    RuntimeDir dir() const { return RuntimeDir::open_at(folder_.path() + "/verso").value(); }
    Record machine(const std::string& name) const {
        fs::create_directory(dir().folder(name));
        Record record;
        record.name = name;
        record.folder = "/";
        record.line.words = {"qemu-system-x86_64", "-drive", "file=d.qcow2,format=qcow2"};
        record.line.memory_bytes = 1 << 20;
        record.line.drives = {{2, "d.qcow2"}};
        return record;
    }
    verso::test::TemporaryFolder folder_;
};

TEST_F(State, AFolderThatOthersMayWriteToIsRefused) {
    EXPECT_TRUE(RuntimeDir::open_at(folder_.path() + "/verso"));
    ASSERT_EQ(::chmod((folder_.path() + "/verso").c_str(), 0770), 0);
    EXPECT_FALSE(RuntimeDir::open_at(folder_.path() + "/verso"));
    std::ofstream(folder_.path() + "/file") << "x";
    EXPECT_FALSE(RuntimeDir::open_at(folder_.path() + "/file"));
    EXPECT_FALSE(RuntimeDir::open_at(folder_.path() + "/" + std::string(80, 'a')));
}

TEST_F(State, NamesAreThoseThatAFolderAndAnOptionMayHave) {
    for (const char* name : {"a", "web-1", "A.b_c", "0"}) {
        EXPECT_TRUE(check_name(name)) << name;
    }
    for (const char* name :
         {"", ".", "..", "-x", "a/b", "a b", ".fork", "a,b", "a23456789012345678901234567890123"}) {
        EXPECT_FALSE(check_name(name)) << name;
    }
}

TEST_F(State, ARecordReadsBackAsItWasWritten) {
    Record record = machine("one");
    record.parent = "zero";
    record.layers = 7;
    record.below = {"/x/disk-1.qcow2"};
    record.moments = {{"first", "/s", {"/d1"}}};
    record.process = {12, 34};
    ASSERT_TRUE(save_record(dir(), record));
    const Result<Record> read = load_record(dir(), "one");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->line.words, record.line.words);
    EXPECT_EQ(read->line.drives, record.line.drives);
    EXPECT_EQ(read->process, record.process);
    EXPECT_EQ(read->below, record.below);
    EXPECT_EQ(read->layers, 7U);
    ASSERT_NE(read->moment("first"), nullptr);
    EXPECT_EQ(read->moment("first")->disks, record.moments[0].disks);
    EXPECT_EQ(read->moment("second"), nullptr);
}

TEST_F(State, ADamagedRecordIsSaidToBeAndCanBeRemoved) {
    for (const char* text : {"", "{", "[]", "{\"name\":\"one\"}", "{\"name\":7,\"drives\":3}",
                             "{\"name\":\"one\",\"command\":[\"q\"],\"memory_bytes\":1,"
                             "\"drives\":[{\"word\":9,\"file\":\"x\"}]}"}) {
        machine("one");
        std::ofstream(dir().file("one", "vm.json")) << text;
        EXPECT_FALSE(load_record(dir(), "one")) << text;
        ASSERT_EQ(list_machines(dir()).size(), 1U);
        EXPECT_EQ(list_machines(dir())[0].state, "damaged");
        EXPECT_TRUE(remove_machine(dir(), "one"));
        EXPECT_TRUE(list_machines(dir()).empty());
    }
}

TEST_F(State, AMachineWhoseProcessIsGoneHasEndedAlthoughItsPidIsTakenAgain) {
    Record record = machine("one");
    record.process = {::getpid(), 1};  // somebody else's start
    ASSERT_TRUE(save_record(dir(), record));
    EXPECT_EQ(list_machines(dir())[0].state, "ended");
    EXPECT_TRUE(stop_machine(dir(), "one"));  // and nobody is killed
    record.process = identify(::getpid());
    ASSERT_TRUE(save_record(dir(), record));
    EXPECT_EQ(list_machines(dir())[0].state, "running");
    EXPECT_FALSE(remove_machine(dir(), "one"));
}

TEST_F(State, ADeadChildThatNobodyHasWaitedForDoesNotCountAsRunning) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::_exit(0);
    }
    siginfo_t ended{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOWAIT), 0);
    EXPECT_EQ(identify(pid), ProcessId{});
    ::waitpid(pid, nullptr, 0);
}

TEST_F(State, WhatAVerbThatWasKilledLeftBehindIsListedAndRemoved) {
    fs::create_directory(dir().folder("half"));
    ASSERT_EQ(list_machines(dir()).size(), 1U);
    EXPECT_EQ(list_machines(dir())[0].state, "unfinished");
    EXPECT_TRUE(remove_machine(dir(), "half"));
    EXPECT_TRUE(list_machines(dir()).empty());
}

TEST_F(State, AMachineOnWhoseDisksAnotherStandsIsNotRemoved) {
    ASSERT_TRUE(save_record(dir(), machine("one")));
    Record child = machine("two");
    child.parent = "one";
    child.below = {dir().file("one", "disk-1.qcow2")};
    ASSERT_TRUE(save_record(dir(), child));
    const Result<void> removed = remove_machine(dir(), "one");
    ASSERT_FALSE(removed);
    EXPECT_NE(removed.error().message.find("'two'"), std::string::npos) << removed.error().message;
    EXPECT_TRUE(remove_machine(dir(), "two"));
    EXPECT_TRUE(remove_machine(dir(), "one"));
}

TEST_F(State, ASocketThatNobodyListensAtAnyMoreIsReplaced) {
    const std::string path = folder_.path() + "/s";
    { const Result<Fd> gone = listen_at(path, SocketKind::packets); }
    ASSERT_TRUE(fs::exists(path));
    EXPECT_FALSE(connect_to(path, SocketKind::packets));
    const Result<Fd> listening = listen_at(path, SocketKind::packets);
    ASSERT_TRUE(listening) << listening.error().message;
    EXPECT_TRUE(connect_to(path, SocketKind::packets));
    EXPECT_FALSE(listen_at(path, SocketKind::packets));
}

TEST_F(State, ALockHoldsOthersOffAndGoesWithItsHolder) {
    const RuntimeDir here = dir();
    {
        const Result<FileLock> held = FileLock::take(here, "one", 0);
        ASSERT_TRUE(held);
        EXPECT_FALSE(FileLock::take(here, "one", 20));
        EXPECT_TRUE(FileLock::take(here, "two", 0));
    }
    EXPECT_TRUE(FileLock::take(here, "one", 0));
}

}  // namespace
}  // namespace verso::vm::test
