// verso vm run: the user's QEMU, with the agent, its memory lent to the page server before the verb
// returns, so that the first fork need not wait for that.
#include <cerrno>
#include <filesystem>

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "vm/huge_pages.h"
#include "vm/machine.h"
#include "vm/socket.h"
#include "vm/verbs.h"

namespace verso::vm {
namespace {

constexpr int lock_timeout_ms = 60'000;

Result<void> bring_up(const RuntimeDir& dir, Record& record) {
    if (Result<void> started = start_machine(dir, record, -1); !started) {
        return started;
    }
    if (Result<void> saved = save_record(dir, record); !saved) {
        return saved;
    }
    if (Result<void> mapped = await_memory(dir, record); !mapped) {
        return mapped;
    }
    bool lent_anew = false;
    if (Result<std::string> keeper = keeper_of(dir, record, lent_anew); !keeper) {
        return pass(keeper);
    }
    Result<Qmp> qmp = monitor_of(dir, record);
    if (!qmp) {
        return fail(ErrorKind::peer, 0, "QEMU ended: {}", last_words(dir, record));
    }
    return {};
}

}  // namespace

Result<Started> run_machine(const RuntimeDir& dir, const RunRequest& request) {
    const u64 begun_ns = now_ns();
    if (Result<void> right = check_name(request.name); !right) {
        return pass(right);
    }
    Result<CommandLine> line =
        read_command_line(request.command, request.memory_bytes, request.huge);
    if (!line) {
        return pass(line);
    }
    if (line->huge) {
        if (Result<void> enough = check_huge_pages(huge_pool(), line->memory_bytes); !enough) {
            return pass(enough);
        }
    }
    Result<FileLock> lock = FileLock::take(dir, request.name, lock_timeout_ms);
    if (!lock) {
        return pass(lock);
    }
    if (::mkdir(dir.folder(request.name).c_str(), 0700) != 0) {
        const int error = errno;
        return fail(ErrorKind::invalid_argument, error,
                    "the machine '{}' exists already; choose another name, or `verso vm rm {}`",
                    request.name, request.name);
    }
    Record record;
    record.name = request.name;
    record.line = std::move(*line);
    std::error_code ignored;
    record.folder = std::filesystem::current_path(ignored).string();
    if (Result<void> up = bring_up(dir, record); !up) {
        discard_machine(dir, record);
        return pass(up);
    }
    return Started{record.name, record.process, now_ns() - begun_ns, 0};
}

}  // namespace verso::vm
