// A real guest for the tests: see the header.
#include "vm/guest.h"

#include <csignal>
#include <fstream>
#include <iterator>

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "support/needs.h"
#include "vm/keeper.h"
#include "vm/record.h"
#include "vm/server.h"
#include "vm/socket.h"

namespace verso::vm::test {

using verso::test::Ran;
using verso::test::run;

namespace {

// Generous: a guest boots in five seconds, and in two minutes where many others want to run.
constexpr int boot_timeout_ms = 300'000;
constexpr int answer_timeout_ms = 120'000;

std::string guest_folder() { return VERSO_BINARY_DIR "/guest"; }

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    return {(std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>()};
}

/// The first whole line at or after `from` that begins so; empty if there is none.
std::string line_of(const std::string& text, const std::string& begins, std::size_t from) {
    while (from < text.size()) {
        const std::size_t end = text.find('\n', from);
        if (end == std::string::npos) {
            return {};
        }
        std::string line = text.substr(from, end - from);
        while (!line.empty() && line.back() == '\r') {
            line.pop_back();
        }
        if (line.starts_with(begins)) {
            return line;
        }
        from = end + 1;
    }
    return {};
}

u64 number_after_space(const std::string& line) {
    const std::size_t space = line.find(' ');
    return space == std::string::npos ? 0 : std::stoull(line.substr(space + 1));
}

}  // namespace

std::string why_no_guest() {
    if (*VERSO_SANITIZE != '\0') {
        return "a sanitized agent cannot be preloaded into a QEMU that is not";
    }
    for (const char* program : {"qemu-system-x86_64", "qemu-img"}) {
        if (run(fmt::format("command -v {} >/dev/null", program)).code != 0) {
            return fmt::format("{} is not installed (scripts/install-packages)", program);
        }
    }
    const Ran made =
        run(fmt::format("'{}/scripts/guest' '{}' 2>&1", VERSO_SOURCE_DIR, guest_folder()));
    return made.code == 0 ? "" : "no guest could be made: " + made.output;
}

void Guests::SetUp() {
    VERSO_NEEDS_USERFAULTFD();
    static const std::string why = why_no_guest();
    if (!why.empty()) {
        GTEST_SKIP() << why;
    }
}

void Guests::TearDown() {
    const RuntimeDir here = dir();
    for (const std::string& name : here.names()) {
        if (HasFailure()) {
            std::cout << "── " << name << "\n"
                      << text_of(here.file(name, "qemu.log"))
                      << run(fmt::format("tail -n 20 '{}'", here.file(name, "console.log"))).output;
        }
        if (const Result<Record> record = load_record(here, name)) {
            kill_process(record->process);
        }
    }
    end_server(here);
}

RuntimeDir Guests::dir() const { return RuntimeDir::open_at(folder() + "/verso").value(); }

Ran Guests::vm(const std::string& arguments) const {
    return run(fmt::format("XDG_RUNTIME_DIR='{}' '{}/verso' vm {} 2>&1", folder(), VERSO_BINARY_DIR,
                           arguments));
}

std::string Guests::vm_yes(const std::string& arguments) const {
    const Ran ran = vm(arguments);
    EXPECT_EQ(ran.code, 0) << "verso vm " << arguments << "\n" << ran.output;
    return ran.output;
}

void Guests::vm_no(const std::string& arguments, const std::string& words) const {
    const Ran ran = vm(arguments);
    EXPECT_TRUE(ran.code == 1 || ran.code == 2) << arguments << ": " << ran.code;
    EXPECT_TRUE(ran.output.starts_with("verso: ")) << ran.output;
    EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1) << ran.output;
    EXPECT_NE(ran.output.find(words), std::string::npos) << ran.output;
}

std::string Guests::make_disk(const std::string& name, const std::string& format) const {
    std::string path = folder() + "/" + name + "." + format;
    const Ran made = run(fmt::format("qemu-img create -q -f {} '{}' 16M 2>&1", format, path));
    EXPECT_EQ(made.code, 0) << made.output;
    return path;
}

std::string Guests::guest_command(const std::string& more) const {
    return fmt::format(
        "qemu-system-x86_64 -accel tcg -nodefaults -no-reboot -kernel '{}/vmlinuz' "
        "-initrd '{}/initrd' -append 'console=ttyS0 quiet' {}",
        guest_folder(), guest_folder(), more);
}

void Guests::boot(const std::string& name, const std::string& more, const std::string& options) {
    vm_yes(fmt::format("run {} --memory 128M {} -- {}", name, options, guest_command(more)));
    const Deadline deadline(boot_timeout_ms);
    const std::string log = dir().file(name, "console.log");
    while (line_of(text_of(log), "ready", 0).empty()) {
        ASSERT_FALSE(deadline.over()) << "the guest did not boot: " << text_of(log);
        pause_ms(50);
    }
    await_tick(name, 1);
}

std::string Guests::ask_guest(const std::string& name, const std::string& line,
                              const std::string& begins) const {
    const std::string log = dir().file(name, "console.log");
    const std::size_t from = text_of(log).size();
    Result<Fd> console = connect_to(dir().file(name, "console.sock"), SocketKind::stream);
    if (!console) {
        return console.error().message;
    }
    const std::string typed = line + "\n";
    // Why safe: sends a text of ours; it is far shorter than the socket's buffer.
    (void)::send(console->get(), typed.data(), typed.size(), MSG_NOSIGNAL);
    const Deadline deadline(answer_timeout_ms);
    while (!deadline.over()) {
        const std::string answer = line_of(text_of(log), begins, from);
        if (!answer.empty()) {
            return answer;
        }
        // Read, though it is in the log as well: each character is a buffer of its own, and some
        // three hundred that nobody reads stop the guest's serial port.
        char shown[4096];
        while (::recv(console->get(), shown, sizeof shown, MSG_DONTWAIT) > 0) {}
        pause_ms(20);
    }
    return "(no answer)";
}

void Guests::expect_answer(const std::string& name, const std::string& line,
                           const std::string& answer) const {
    const std::string begins = answer.substr(0, answer.find(' ') + 1);
    EXPECT_EQ(ask_guest(name, line, begins), answer) << name << ": " << line;
}

std::vector<u64> Guests::ticks(const std::string& name) const {
    std::vector<u64> all;
    const std::string text = text_of(dir().file(name, "console.log"));
    for (std::size_t at = 0; at != std::string::npos; at = text.find('\n', at)) {
        at += at == 0 ? 0 : 1;
        if (text.compare(at, 5, "tick ") == 0 && text.find('\n', at) != std::string::npos) {
            all.push_back(number_after_space(line_of(text, "tick ", at)));
        }
    }
    return all;
}

u64 Guests::last_tick(const std::string& name) const {
    const std::string text = text_of(dir().file(name, "console.log"));
    u64 last = 0;
    for (std::size_t at = text.rfind("tick "); at != std::string::npos && last == 0;
         at = at == 0 ? std::string::npos : text.rfind("tick ", at - 1)) {
        const std::string line = line_of(text, "tick ", at);
        last = line.empty() ? 0 : number_after_space(line);
    }
    return last;
}

u64 Guests::first_tick(const std::string& name) const {
    await_tick(name, 1);
    return number_after_space(line_of(text_of(dir().file(name, "console.log")), "tick ", 0));
}

void Guests::await_tick(const std::string& name, u64 tick) const {
    const Deadline deadline(answer_timeout_ms);
    while (last_tick(name) < tick) {
        ASSERT_FALSE(deadline.over()) << name << " stands at tick " << last_tick(name);
        pause_ms(20);
    }
}

void Guests::expect_ticking(const std::string& name) const {
    await_tick(name, last_tick(name) + 3);
}

pid_t Guests::pid_of(const std::string& name) const {
    const Result<Record> record = load_record(dir(), name);
    return record && is_alive(record->process) ? record->process.pid : 0;
}

void Guests::kill_guest(const std::string& name) const {
    const Result<Record> record = load_record(dir(), name);
    ASSERT_TRUE(record) << record.error().message;
    kill_process(record->process);
    ASSERT_TRUE(wait_until_ended(record->process, answer_timeout_ms));
}

}  // namespace verso::vm::test
