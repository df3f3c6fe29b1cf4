// Where an instance's children in other processes come from: a process that was forked before the
// instance had threads, and forks one child for each order. It never has a region itself.
//
//   instance ── order, socket ──▶ nursery ── fork ──▶ child: import, live, exit
//            ── export_fork ────── over that socket ──▶  │
//            ◀─ how it ended ──── nursery ◀── wait ──────┘
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/fd.h"
#include "check/torture/life.h"

namespace verso::check::torture {

class Nursery {
public:
    static Result<std::unique_ptr<Nursery>> open(const Layout& layout, const Shared::Header& header,
                                                 Slot& slot);
    ~Nursery();
    Nursery(const Nursery&) = delete;
    Nursery& operator=(const Nursery&) = delete;

    /// Asks for a child that imports from the socket's other end, which is returned.
    Result<Fd> order(const Birth& birth);
    static constexpr std::string_view not_born = "was not born";  // it could not import
    /// Waits until it has ended; "" if it ended well. An error if the nursery itself is gone.
    Result<std::string> ending();

private:
    Nursery(Fd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}
    Fd socket_;
    const pid_t pid_;
};

/// The first statement of every process of a run: it ends with its parent, and leaves Ctrl-C to the
/// driver.
void follow_parent();

}  // namespace verso::check::torture
