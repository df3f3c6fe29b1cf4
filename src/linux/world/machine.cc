// Settings and the lock. Swap files are in swap_file.cc.
#include "linux/world/machine.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "linux/world/journal.h"
#include "linux/world/text_file.h"

namespace verso::host {
namespace {
constexpr const char* lock_path = "/tmp/verso-machine.lock";
constexpr const char* huge_pages_path = "/proc/sys/vm/nr_hugepages";

/// "always [madvise] never" → "madvise"; "1\n" → "1".
std::string chosen(const std::string& text) {
    const std::size_t open = text.find('[');
    const std::size_t close = text.find(']');
    if (open != std::string::npos && close != std::string::npos) {
        return text.substr(open + 1, close - open - 1);
    }
    return text.substr(0, text.find('\n'));
}

Fd lock_file(const std::string& path) {
    // Why safe: a file that holds nothing. Where it is somebody else's, creating is refused but
    // opening is not.
    Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file.valid()) {
        // Why safe: as above.
        file = Fd{::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0644)};
    }
    return file;
}
}  // namespace

Result<Fd> lock_of(const std::string& path, u64 patience_ms) {
    constexpr u64 pause_ms = 5;
    Fd lock = lock_file(path);
    if (!lock.valid()) {
        return fail(ErrorKind::system, errno, "{} cannot be opened; mend its permissions", path);
    }
    for (u64 waited_ms = 0; ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0; waited_ms += pause_ms) {
        if (waited_ms >= patience_ms) {
            return fail(ErrorKind::resource, errno,
                        "another process has {} locked for more than {} s; wait for it", path,
                        patience_ms / 1000);
        }
        ::usleep(pause_ms * 1000);
    }
    return lock;
}

Result<Promise> Promise::make(Keeper& keeper, const Undo& undo, int held) {
    Result<u64> number = keeper.promise(undo, held);
    if (!number) {
        return pass(number);
    }
    Promise promise;
    promise.keeper_ = &keeper;
    promise.number_ = *number;
    return promise;
}

void Promise::take_back() {
    if (keeper_ != nullptr) {
        std::exchange(keeper_, nullptr)->take_back(number_);
    }
}

Result<std::unique_ptr<Setting>> Setting::change(Keeper& keeper, const std::string& path,
                                                 const std::string& text) {
    const std::string before = chosen(read_text(path));
    if (before.empty()) {
        return fail(ErrorKind::unsupported, ENOENT, "this kernel has no {}", path);
    }
    std::unique_ptr<Setting> setting(new Setting({Undo::Kind::write, path, before}));
    Result<Promise> promise = Promise::make(keeper, setting->undo_);
    if (!promise) {
        return pass(promise);
    }
    setting->promise_ = std::move(*promise);
    journal_enter(path, before);
    Result<void> written = write_text(path, text);
    if (!written) {
        return pass(written);
    }
    setting->changed_ = true;
    return setting;
}

Setting::~Setting() {
    if (changed_ && !undo_.perform()) {
        fmt::print(stderr, "{} could not be put back to {}: {}\n", undo_.path, undo_.text,
                   std::strerror(errno));
    }
    journal_strike(undo_.path);
}

Result<std::shared_ptr<Machine>> Machine::get() {
    static std::mutex guard;
    static std::weak_ptr<Machine> current;
    const std::lock_guard one_at_a_time(guard);
    if (std::shared_ptr<Machine> known = current.lock()) {
        return known;
    }
    Result<Keeper*> keeper = Keeper::get();
    if (!keeper) {
        return pass(keeper);
    }
    constexpr u64 patience_ms = 60'000;
    Result<Fd> lock = lock_of(lock_path, patience_ms);
    if (!lock) {
        return pass(lock);
    }
    journal_replay();
    const int held = lock->get();
    std::shared_ptr<Machine> machine(new Machine(*keeper, std::move(*lock)));
    Result<Promise> promise = Promise::make(**keeper, {Undo::Kind::hold, lock_path, {}}, held);
    if (!promise) {
        return pass(promise);
    }
    machine->held_ = std::move(*promise);
    Result<Promise> journal =
        Promise::make(**keeper, {Undo::Kind::remove, std::string(journal_path), {}});
    if (!journal) {
        return pass(journal);
    }
    machine->journal_ = std::move(*journal);
    current = machine;
    return machine;
}

Machine::~Machine() { put_back(); }

void Machine::put_back() {
    const std::lock_guard lock(guard_);
    huge_pages_.reset();
    swap_.reset();
}

Result<SwapFile*> Machine::swap() {
    if (swap_ == nullptr) {
        Result<std::unique_ptr<SwapFile>> made = SwapFile::make(*keeper_);
        if (!made) {
            return pass(made);
        }
        swap_ = std::move(*made);
    }
    return swap_.get();
}

/// What others have of the pool, or have reserved, does not count. That may be nobody: on 6.18 an
/// mremap of a part of a private mapping leaves a reservation behind for good (docs/findings.md).
Result<void> Machine::huge_pages(u64 count) {
    const std::lock_guard lock(guard_);
    const auto taken = [] {
        const std::string text = read_text("/proc/meminfo");
        const u64 unused = number_after(text, "HugePages_Free:");
        return read_number(huge_pages_path) - unused + number_after(text, "HugePages_Rsvd:");
    };
    const u64 wanted = count + taken();
    const std::string text = fmt::format("{}", wanted);
    if (read_number(huge_pages_path) < wanted && huge_pages_ != nullptr) {
        Result<void> grown = write_text(huge_pages_path, text);  // what was before all is known
        if (!grown) {
            return grown;
        }
    } else if (read_number(huge_pages_path) < wanted) {
        Result<std::unique_ptr<Setting>> grown = Setting::change(*keeper_, huge_pages_path, text);
        if (!grown) {
            return pass(grown);
        }
        huge_pages_ = std::move(*grown);
    }
    const u64 had = read_number(huge_pages_path);
    if (had < wanted) {
        return fail(ErrorKind::resource, ENOMEM, "only {} of {} huge pages could be had", had,
                    wanted);
    }
    return {};
}

}  // namespace verso::host
