// A real guest for the tests of `verso vm`: Debian's QEMU without KVM, Debian's kernel, and an
// initrd that counts ticks and answers on its console (scripts/guest). Each test has a runtime
// folder of its own, so nothing of the user's machines is seen or touched.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/types.h"
#include "support/shell.h"
#include "vm/json.h"
#include "vm/runtime_dir.h"

namespace verso::vm::test {

/// Empty, or why no guest can be run here.
std::string why_no_guest();

class Guests : public testing::Test {
protected:
    void SetUp() override;
    void TearDown() override;

    /// `verso vm ARGUMENTS`, with stderr in the output.
    verso::test::Ran vm(const std::string& arguments) const;
    /// The same, expected to succeed.
    std::string vm_yes(const std::string& arguments) const;
    /// Expected to fail with one line that has these words.
    void vm_no(const std::string& arguments, const std::string& words) const;

    /// Boots NAME with 128 MiB; `more` goes to QEMU, `options` to `run`. Returns once it answers.
    void boot(const std::string& name, const std::string& more = "",
              const std::string& options = "");
    std::string make_disk(const std::string& name, const std::string& format = "qcow2") const;
    std::string guest_command(const std::string& more = "") const;

    /// Types a line on the console and waits for the answer: the next line that begins so.
    std::string ask_guest(const std::string& name, const std::string& line,
                          const std::string& begins) const;
    void expect_answer(const std::string& name, const std::string& line,
                       const std::string& answer) const;
    /// Waits until the guest has counted that far.
    void await_tick(const std::string& name, u64 tick) const;
    u64 last_tick(const std::string& name) const;
    u64 first_tick(const std::string& name) const;
    /// All that it has said so far, in that order.
    std::vector<u64> ticks(const std::string& name) const;
    /// It goes on counting.
    void expect_ticking(const std::string& name) const;

    pid_t pid_of(const std::string& name) const;
    void kill_guest(const std::string& name) const;
    RuntimeDir dir() const;
    std::string folder() const { return folder_.path(); }

private:
    verso::test::TemporaryFolder folder_;
};

}  // namespace verso::vm::test
