// The other ways to N running guests: see the header.
#include "cli/bench/vm/crowd.h"

#include <filesystem>
#include <functional>
#include <thread>

#include <fmt/core.h>
#include <sys/stat.h>

#include "cli/bench/harness/clock.h"
#include "cli/bench/rivals/machine.h"
#include "cli/bench/rows/rows.h"
#include "vm/device_state.h"

namespace verso::cli::bench {
namespace fs = std::filesystem;

namespace {

constexpr u64 spare_bytes = mib(2'048);  // what the run leaves to the machine

/// body(0) … body(count - 1), each on a thread; the first error.
Result<void> side_by_side(u64 count, const std::function<Result<void>(u64)>& body) {
    std::vector<Result<void>> results(count);
    std::vector<std::thread> threads;
    for (u64 i = 0; i < count; ++i) {
        threads.emplace_back([&results, &body, i] { results[i] = body(i); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (Result<void>& result : results) {
        if (!result) {
            return result;
        }
    }
    return {};
}

u64 blocks_of(const std::string& file) {
    struct stat found {};
    // Why safe: fills a struct of ours.
    return ::stat(file.c_str(), &found) == 0 ? static_cast<u64>(found.st_blocks) * 512 : 0;
}

u64 pss_of_seats(const std::vector<Seat>& seats) {
    std::vector<vm::ProcessId> processes;
    for (const Seat& seat : seats) {
        processes.push_back(seat.process);
    }
    return pss_of(processes);
}

/// Guests that are ended when they go, and their folders with them.
struct Seats {
    explicit Seats(u64 count) : all(count) {}
    ~Seats() {
        for (const Seat& seat : all) {
            if (!seat.folder.empty()) {
                end_plain(seat);
            }
        }
        std::error_code ignored;
        for (const std::string& file : files) {
            fs::remove(file, ignored);
        }
    }
    Seats(const Seats&) = delete;
    Seats& operator=(const Seats&) = delete;
    std::vector<Seat> all;
    std::vector<std::string> files{};
};

/// The device state and the first copy, while the source stands still.
Result<u64> first_copy(const Seat& source, const std::string& memory_file, const std::string& state,
                       const std::string& copy) {
    Result<vm::Qmp> qmp = monitor(source);
    if (!qmp) {
        return pass(qmp);
    }
    Result<vm::Stillness> stillness = vm::Stillness::begin(*qmp);
    if (!stillness) {
        return pass(stillness);
    }
    Result<void> done = vm::write_state(*qmp, state);
    done = done ? vm::run_helper({"cp", memory_file, copy}, source.folder) : done;
    Result<u64> stood = stillness->end();
    return done ? stood : pass(done);
}

Result<void> wake(const Seat& seat, const std::string& state) {
    Result<vm::Qmp> qmp = monitor(seat);
    Result<void> done = qmp ? vm::load_state(*qmp, state) : pass(qmp);
    return done ? ask_seat(seat, who())
                : fail(ErrorKind::peer, 0, "{} ({})", done.error().message,
                       vm::last_line_of(seat.file("qemu.log")));
}

}  // namespace

u64 pss_of(const std::vector<vm::ProcessId>& processes) {
    u64 bytes = 0;
    for (const vm::ProcessId& process : processes) {
        bytes += smaps_bytes(process.pid, "Pss");
    }
    return bytes;
}

Result<Crowd> boot_crowd(Stage& stage, u64 size_mib, u64 count) {
    Seats seats(count);
    const u64 begun_ns = stamp_ns();
    Result<void> done = side_by_side(count, [&](u64 i) -> Result<void> {
        Result<Seat> seat = start_plain(stage, {size_mib, Ram::memfd});
        if (!seat) {
            return pass(seat);
        }
        seats.all[i] = *seat;
        return await_boot(stage, *seat);
    });
    Crowd crowd;
    crowd.answered_ns = stamp_ns() - begun_ns;
    crowd.pss_bytes = pss_of_seats(seats.all);
    if (!done) {
        return pass(done);
    }
    return crowd;
}

Result<Crowd> copy_crowd(Stage& stage, const Seat& source, const std::string& memory_file,
                         u64 size_mib, u64 count) {
    const u64 needed = blocks_of(memory_file) * count + spare_bytes;
    const u64 available = meminfo_bytes("MemAvailable");
    if (needed > available) {
        return fail(ErrorKind::unsupported, 0,
                    "{} copies of the memory file need {} MiB of memory and {} are available",
                    count, needed >> 20, available >> 20);
    }
    Seats seats(count);
    const std::string state = stage.file("copied.state");
    for (u64 i = 0; i < count; ++i) {
        seats.files.push_back(stage.file(fmt::format("copy-{}", i + 1)));
    }
    const std::vector<std::string> copies = seats.files;
    seats.files.push_back(state);
    Crowd crowd;
    const u64 begun_ns = stamp_ns();
    Result<u64> stood = first_copy(source, memory_file, state, copies[0]);
    if (!stood) {
        return pass(stood);
    }
    crowd.paused_ns = *stood;
    Result<void> done = side_by_side(count, [&](u64 i) -> Result<void> {
        const PlainPlan plan{size_mib, Ram::file, copies[i], true};
        if (i > 0) {
            const std::string folder = stage.file(stage.fresh("copying"));
            std::error_code ignored;
            fs::create_directory(folder, ignored);
            Result<void> copied = vm::run_helper({"cp", copies[0], copies[i]}, folder);
            if (!copied) {
                return copied;
            }
        }
        Result<Seat> seat = start_plain(stage, plan);
        if (!seat) {
            return pass(seat);
        }
        seats.all[i] = *seat;
        return {};
    });
    // Not before all are made: the first would change what the others are copied from.
    done = done ? side_by_side(count, [&](u64 i) { return wake(seats.all[i], state); }) : done;
    crowd.answered_ns = stamp_ns() - begun_ns;
    if (!done) {
        return pass(done);
    }
    crowd.pss_bytes = pss_of_seats(seats.all);
    for (const std::string& copy : copies) {
        crowd.file_bytes += blocks_of(copy);
    }
    return crowd;
}

}  // namespace verso::cli::bench
