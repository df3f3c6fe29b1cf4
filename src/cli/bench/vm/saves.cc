// QEMU's own ways of saving a guest: see the header. The file lies in the folder of the run, in
// memory where there is a tmpfs; it is handed over as a descriptor, so that nothing is piped.
#include "cli/bench/vm/saves.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "vm/device_state.h"
#include "vm/socket.h"

namespace verso::cli::bench {
namespace {

constexpr int save_timeout_ms = 300'000;
constexpr u64 no_limit = u64{1} << 40;  // bytes a second; QEMU's default is 128 MiB

Result<void> set_background(vm::Qmp& qmp, bool on) {
    Result<vm::Json> set = qmp.execute(
        "migrate-set-capabilities",
        vm::Json{{"capabilities", {{{"capability", "background-snapshot"}, {"state", on}}}}});
    return set ? Result<void>() : pass(set);
}

Result<void> begin(vm::Qmp& qmp, const std::string& file) {
    // Why safe: a file in the folder of this run.
    const Fd opened(::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!opened.valid()) {
        return fail(ErrorKind::system, errno, "'{}' cannot be opened: {}", file,
                    std::strerror(errno));
    }
    Result<vm::Json> done =
        qmp.execute("migrate-set-parameters", vm::Json{{"max-bandwidth", no_limit}});
    if (done) {
        done =
            qmp.execute("getfd", vm::Json{{"fdname", "bench"}}, vm::qmp_timeout_ms, opened.get());
    }
    if (done) {
        done = qmp.execute("migrate", vm::Json{{"uri", "fd:bench"}});
    }
    return done ? Result<void>() : pass(done);
}

Result<void> await_end(const Stage& stage, vm::Qmp& qmp) {
    const vm::Deadline deadline(save_timeout_ms);
    while (!deadline.over()) {
        if (Result<void> still = stage.wanted(); !still) {
            return still;
        }
        Result<vm::Json> migration = qmp.execute("query-migrate");
        if (!migration) {
            return pass(migration);
        }
        const std::string status = vm::text_at(*migration, "status");
        if (status == "completed") {
            return {};
        }
        if (status == "failed" || status == "cancelled") {
            return fail(ErrorKind::unsupported, 0, "QEMU's migration failed: {}",
                        vm::text_at(*migration, "error-desc", status));
        }
        vm::pause_ms(1);
    }
    return fail(ErrorKind::peer, ETIMEDOUT, "QEMU does not finish its migration");
}

/// From QEMU's own stamps of its events, after a query that made it say them.
Result<u64> pause_by_events(vm::Qmp& qmp) {
    Result<vm::Json> asked = qmp.execute("query-status");
    if (!asked) {
        return pass(asked);
    }
    const u64 stopped_us = qmp.last_at_us("STOP");
    const u64 resumed_us = qmp.last_at_us("RESUME");
    if (stopped_us == 0 || resumed_us < stopped_us) {
        return fail(ErrorKind::peer, 0, "QEMU did not say when the guest stood still");
    }
    return (resumed_us - stopped_us) * 1'000;
}

Result<u64> save_and_stand(const Stage& stage, vm::Qmp& qmp, Save save, const std::string& file) {
    if (save == Save::stopped) {
        Result<vm::Stillness> stillness = vm::Stillness::begin(qmp);
        if (!stillness) {
            return pass(stillness);
        }
        Result<void> written = begin(qmp, file);
        written = written ? await_end(stage, qmp) : written;
        Result<u64> stood = stillness->end();
        return written ? stood : pass(written);
    }
    Result<void> written = begin(qmp, file);
    written = written ? await_end(stage, qmp) : written;
    if (!written) {
        return pass(written);
    }
    if (save == Save::live) {  // it stands still since the end
        Result<vm::Json> continued = qmp.execute("cont");
        if (!continued) {
            return pass(continued);
        }
    }
    return pause_by_events(qmp);
}

}  // namespace

const char* name_of(Save save) {
    switch (save) {
        case Save::stopped: return "stop, migrate, cont";
        case Save::live: return "migrate while it runs";
        case Save::background: return "background-snapshot";
    }
    return "?";
}

Result<Saved> save_guest(const Stage& stage, const Seat& seat, Save save) {
    Result<vm::Qmp> qmp = monitor(seat);
    if (!qmp) {
        return pass(qmp);
    }
    if (save == Save::background) {
        if (Result<void> set = set_background(*qmp, true); !set) {
            return fail(ErrorKind::unsupported, 0, "{}", set.error().message);
        }
    }
    const std::string file = stage.file("saved");
    const u64 begun_ns = vm::now_ns();
    Result<u64> stood = save_and_stand(stage, *qmp, save, file);
    Saved saved;
    saved.whole_ns = vm::now_ns() - begun_ns;
    std::error_code ignored;
    saved.file_bytes = std::filesystem::file_size(file, ignored);
    std::filesystem::remove(file, ignored);
    if (save == Save::background) {
        (void)set_background(*qmp, false);
    }
    if (!stood) {
        return pass(stood);
    }
    saved.pause_ns = *stood;
    return saved;
}

}  // namespace verso::cli::bench
