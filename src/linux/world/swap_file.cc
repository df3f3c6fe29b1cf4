// A swap file: made, switched on, and gone afterwards.
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/swap.h>
#include <unistd.h>

#include "linux/world/machine.h"
#include "linux/world/text_file.h"

namespace verso::host {
namespace {
/// The first page of a swap area, as swapon(2) reads it.
std::array<char, page_size> swap_header(u64 bytes) {
    struct Info {
        u32 version = 1;
        u32 last_page = 0;
        u32 bad_pages = 0;
    };
    constexpr std::string_view magic = "SWAPSPACE2";
    constexpr std::size_t boot_bits = 1024;
    Info info;
    info.last_page = static_cast<u32>(to_pages(bytes)) - 1;
    std::array<char, page_size> header{};
    std::memcpy(header.data() + boot_bits, &info, sizeof info);
    std::memcpy(header.data() + header.size() - magic.size(), magic.data(), magic.size());
    return header;
}

/// Allocated whole: swapon(2) takes no file with holes.
int write_area(const std::string& path, u64 bytes) {
    // Why safe: a new file of ours, of a name that is nobody else's.
    const Fd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    const std::array<char, page_size> header = swap_header(bytes);
    // Why safe: as above.
    if (!file.valid() || ::fallocate(file.get(), 0, 0, static_cast<off_t>(bytes)) != 0) {
        return errno;
    }
    // Why safe: as above; reads the local array.
    return ::pwrite(file.get(), header.data(), header.size(), 0) == page_size ? 0 : errno;
}

/// Some file systems cannot hold a swap file (tmpfs, overlayfs): the first folder that can.
std::array<std::string, 4> folders() {
    const char* const wished = std::getenv("TMPDIR");
    return {wished != nullptr ? wished : "/var/tmp", "/var/tmp", "/tmp", "."};
}

/// The name's beginning and the number of a process; whatever else begins so is somebody's.
bool is_ours(std::string_view name, std::string_view begin) {
    return name.starts_with(begin) && name.size() > begin.size() &&
           name.find_first_not_of("0123456789", begin.size()) == std::string_view::npos;
}

/// Those of a process that was killed together with its keeper: some are on, some did not come so
/// far. Whoever holds the lock of their name knows that nobody uses them.
void remove_left_behind(std::string_view name_begin) {
    const std::string swaps = read_text("/proc/swaps");
    for (std::size_t at = 0; at < swaps.size();) {
        const std::size_t end = std::min(swaps.find('\n', at), swaps.size());
        const std::string path = swaps.substr(at, swaps.find_first_of(" \t\n", at) - at);
        if (path.find(name_begin) != std::string::npos && ::swapoff(path.c_str()) == 0) {
            ::unlink(path.c_str());
        }
        at = end + 1;
    }
    for (const std::string& folder : folders()) {
        std::error_code error;
        std::filesystem::directory_iterator at(folder, error);
        for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
            if (is_ours(at->path().filename().string(), name_begin.substr(1))) {
                ::unlink(at->path().c_str());  // refused while it is on
            }
        }
    }
}
}  // namespace

Result<std::unique_ptr<SwapFile>> SwapFile::make_in(Keeper& keeper, const SwapForm& form,
                                                    const std::string& folder) {
    std::array<char, 4096> whole{};
    if (::realpath(folder.c_str(), whole.data()) == nullptr) {
        return fail(ErrorKind::system, errno, "{} is no folder", folder);
    }
    std::unique_ptr<SwapFile> swap(new SwapFile(
        fmt::format("{}{}{}", whole.data(), form.name_begin, ::getpid()), form.priority));
    Result<Promise> removed = Promise::make(keeper, {Undo::Kind::remove, swap->path_, {}});
    if (!removed) {
        return pass(removed);
    }
    swap->removed_ = std::move(*removed);
    const int error = write_area(swap->path_, form.bytes);
    if (error != 0) {
        return fail(ErrorKind::system, error, "{}: {}", swap->path_, std::strerror(error));
    }
    Result<Promise> off = Promise::make(keeper, {Undo::Kind::swap_off, swap->path_, {}});
    if (!off) {
        return pass(off);
    }
    swap->off_ = std::move(*off);
    Result<void> on = swap->on();
    if (!on) {
        return pass(on);
    }
    return swap;
}

Result<std::unique_ptr<SwapFile>> SwapFile::make(Keeper& keeper, const SwapForm& form) {
    remove_left_behind(form.name_begin);
    std::string tried;
    for (const std::string& folder : folders()) {
        Result<std::unique_ptr<SwapFile>> made = make_in(keeper, form, folder);
        if (made) {
            return made;
        }
        tried += (tried.empty() ? "" : "; ") + made.error().message;
    }
    return fail(ErrorKind::unsupported, 0, "no swap file could be made ({})", tried);
}

SwapRoom room_for_swap() {
    SwapRoom room;
    std::error_code error;
    room.folder = folders().front();
    room.free_bytes = std::filesystem::space(room.folder, error).available;
    room.free_bytes = error ? 0 : room.free_bytes;
    return room;
}

SwapFile::~SwapFile() {
    if (is_on_ && ::swapoff(path_.c_str()) != 0) {
        fmt::print(stderr, "{} could not be switched off: {}\n", path_, std::strerror(errno));
    }
    ::unlink(path_.c_str());
}

Result<void> SwapFile::off() {
    if (::swapoff(path_.c_str()) != 0) {
        return fail(ErrorKind::system, errno, "swapoff {}: {}", path_, std::strerror(errno));
    }
    is_on_ = false;
    return {};
}

Result<void> SwapFile::on() {
    if (::swapon(path_.c_str(), SWAP_FLAG_PREFER | priority_) != 0) {
        return fail(ErrorKind::system, errno, "swapon {}: {}", path_, std::strerror(errno));
    }
    is_on_ = true;
    return {};
}

}  // namespace verso::host
