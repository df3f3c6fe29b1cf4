// Ordinary files go to /var/tmp rather than /tmp, which may be memory.
#include "check/program/file.h"

#include <span>
#include <string_view>

#include "kernel/call.h"

namespace verso::check {

Result<int> make_file(kernel::Kernel& kernel, Kind kind, u64 length) {
    using kernel::Call;
    kernel::Outcome made;
    if (kind == Kind::FS || kind == Kind::FP) {
        constexpr std::string_view folder = "/var/tmp";
        kernel::Payload where;
        where.in = std::as_bytes(std::span(folder));
        made = kernel.perform(Call::file_create(), where);
    } else {
        made =
            kernel.perform(Call::memfd_create(is_hugetlb(kind) ? kernel::MemfdFlag::huge : u64{0}));
    }
    if (!made.ok()) {
        return fail(ErrorKind::system, made.error, "make the file: {}", kernel::to_string(made));
    }
    const int fd = static_cast<int>(made.value);
    const kernel::Outcome sized = kernel.perform(Call::file_resize(fd, length));
    if (!sized.ok()) {
        return fail(ErrorKind::system, sized.error, "size the file: {}", kernel::to_string(sized));
    }
    return fd;
}

}  // namespace verso::check
