// Guests under Verso and in plain QEMU: see the header.
#include "cli/bench/vm/guests.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cli/bench/rows/rows.h"
#include "vm/answer.h"
#include "vm/command_line.h"
#include "vm/socket.h"

namespace verso::cli::bench {

namespace {

// Generous: a guest boots in five seconds, and in minutes where many others want to run.
constexpr int boot_timeout_ms = 600'000;
constexpr int answer_timeout_ms = 120'000;
constexpr int end_timeout_ms = 10'000;

std::vector<std::string> command_of(const std::string& guest) {
    return {"qemu-system-x86_64",
            "-accel",
            "tcg",
            "-nodefaults",
            "-no-reboot",
            "-kernel",
            guest + "/vmlinuz",
            "-initrd",
            guest + "/initrd",
            "-append",
            "console=ttyS0 quiet"};
}

bool has_booted(const std::string& log) {
    std::ifstream file(log);
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    return text.find("ready\r\n") != std::string::npos;
}

}  // namespace

Load load_for(u64 size_mib) {
    constexpr u64 written_mib_max = 64;
    return {size_mib / 4, std::clamp<u64>(size_mib / 8, 1, written_mib_max)};
}

vm::Question who() { return {true, "get", "word ", answer_timeout_ms}; }

Result<void> ask_seat(const Seat& seat, const vm::Question& question) {
    Result<vm::ConsoleTalk> console =
        vm::ConsoleTalk::open(seat.file("console.sock"), end_timeout_ms);
    Result<void> answered = console ? console->ask(question) : pass(console);
    return answered ? answered : pass(answered, "the guest " + seat.name);
}

Result<void> await_boot(const Stage& stage, const Seat& seat) {
    const vm::Deadline deadline(boot_timeout_ms);
    while (!has_booted(seat.file("console.log"))) {
        if (Result<void> still = stage.wanted(); !still) {
            return still;
        }
        if (!vm::is_alive(seat.process)) {
            return fail(ErrorKind::peer, 0, "the QEMU of {} ended: {}", seat.name,
                        vm::last_line_of(seat.file("qemu.log")));
        }
        if (deadline.over()) {
            return fail(ErrorKind::peer, ETIMEDOUT, "the guest {} does not boot", seat.name);
        }
        vm::pause_ms(2);
    }
    return ask_seat(seat, who());
}

Result<void> give_load(const Seat& seat, const Load& load, bool working) {
    Result<void> held =
        ask_seat(seat, {true, fmt::format("load {}", load.held_mib), "loaded ", answer_timeout_ms});
    if (!held || !working) {
        return held;
    }
    return ask_seat(
        seat, {true, fmt::format("work {}", load.written_mib), "working ", answer_timeout_ms});
}

Result<vm::Qmp> monitor(const Seat& seat) { return vm::Qmp::connect(seat.file("qmp.sock")); }

Result<Seat> boot_ours(Stage& stage, u64 size_mib) {
    const std::string name = stage.fresh("root");
    Result<vm::Started> started =
        vm::run_machine(stage.dir(), {name, command_of(stage.guest()), mib(size_mib)});
    if (!started) {
        return pass(started);
    }
    Seat seat{name, stage.dir().folder(name), started->process};
    Result<void> booted = await_boot(stage, seat);
    if (!booted) {
        return pass(booted);
    }
    return seat;
}

Result<void> end_ours(const Stage& stage, const std::string& name) {
    Result<void> stopped = vm::stop_machine(stage.dir(), name);
    return stopped ? vm::remove_machine(stage.dir(), name) : stopped;
}

Result<Seat> start_plain(Stage& stage, const PlainPlan& plan) {
    const std::string name = stage.fresh("plain");
    Seat seat{name, stage.file(name), {}};
    if (::mkdir(seat.folder.c_str(), 0700) != 0) {
        return fail(ErrorKind::resource, errno, "'{}' cannot be made: {}", seat.folder,
                    std::strerror(errno));
    }
    vm::Launch what;
    what.command = command_of(stage.guest());
    const auto add = [&what](std::initializer_list<std::string> words) {
        what.command.insert(what.command.end(), words);
    };
    add({"-m", fmt::format("{}M", plan.size_mib), "-display", "none", "-qmp",
         fmt::format("unix:{},server=on,wait=off", seat.file("qmp.sock")), "-chardev",
         fmt::format("socket,id=console,path={},server=on,wait=off,logfile={}",
                     seat.file("console.sock"), seat.file("console.log")),
         "-serial", "chardev:console"});
    if (plan.ram != Ram::own) {
        const std::string kind = plan.ram == Ram::memfd
                                     ? std::string("memory-backend-memfd")
                                     : "memory-backend-file,mem-path=" + plan.memory_file;
        add({"-object", fmt::format("{},id=ram,size={}M,share=on", kind, plan.size_mib), "-machine",
             "memory-backend=ram"});
    }
    if (plan.incoming) {
        add({"-incoming", "defer"});
    }
    what.folder = seat.folder;
    what.log = seat.file("qemu.log");
    Result<vm::ProcessId> process = vm::launch(what);
    if (!process) {
        return pass(process);
    }
    seat.process = *process;
    stage.adopt(seat.process);
    return seat;
}

void end_plain(const Seat& seat) {
    vm::kill_process(seat.process);
    if (vm::wait_until_ended(seat.process, end_timeout_ms)) {
        // Why safe: a child of ours that has ended and that nobody else waits for.
        ::waitpid(seat.process.pid, nullptr, WNOHANG);
    }
}

}  // namespace verso::cli::bench
