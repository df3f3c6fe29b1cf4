// Descriptors: what numbers of simulated processes mean. A number names an Object (an open file
// description); fork, dup and messages make more names of the same object, and an object ends with
// its last name: that closes a userfaultfd, unpins pages, hangs up a socket.
//
//   process 0: 16777216 ──▶ File            process 1: 16777216 ──▶ (the same, after fork)
//              16777217 ──▶ Userfault                  16777218 ──▶ Socket
//
// Numbers are never given twice: whoever uses one after closing it gets EBADF and not somebody
// else's object, which a real kernel would give sooner or later.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "mm/sim/memory.h"

namespace verso::mm::sim {

enum class ObjectKind : u8 { file, userfault, event, socket, process, bundle, pin };

class Object {
public:
    explicit Object(ObjectKind which) : kind(which) {}
    virtual ~Object() = default;
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;
    /// What poll(2) says: POLLIN, and POLLHUP or POLLRDHUP.
    virtual bool readable() const { return false; }
    virtual bool hung_up() const { return false; }
    const ObjectKind kind;
};
using ObjectRef = std::shared_ptr<Object>;

struct FileObject final : Object {
    FileObject(Memory& of, u8 id) : Object(ObjectKind::file), memory(of), file(id) {}
    ~FileObject() override { memory.orphan(file); }
    Memory& memory;
    u8 file;
    u64 bytes = 0;  ///< the size; the model counts whole pages
};

struct UserfaultObject final : Object {
    UserfaultObject(Memory& of, u8 id) : Object(ObjectKind::userfault), memory(of), context(id) {}
    ~UserfaultObject() override;
    bool readable() const override;
    Memory& memory;
    u8 context;
};

struct EventObject final : Object {
    EventObject() : Object(ObjectKind::event) {}
    bool readable() const override { return count != 0; }
    u64 count = 0;
};

/// One end of a SOCK_SEQPACKET socket; the other is `peer`.
struct SocketObject final : Object {
    struct Part {  ///< a message
        std::vector<std::byte> bytes;
        std::vector<ObjectRef> objects;
    };
    SocketObject() : Object(ObjectKind::socket) {}
    ~SocketObject() override;
    bool readable() const override { return !inbox.empty() || hung_up(); }
    bool hung_up() const override { return peer.expired(); }
    std::weak_ptr<SocketObject> peer;
    std::deque<Part> inbox;
};

struct ProcessObject final : Object {
    explicit ProcessObject(std::shared_ptr<const bool> flag)
        : Object(ObjectKind::process), ended(std::move(flag)) {}
    bool readable() const override { return *ended; }
    std::shared_ptr<const bool> ended;
};

/// epoll: it does not keep what it watches.
struct BundleObject final : Object {
    BundleObject() : Object(ObjectKind::bundle) {}
    bool readable() const override;
    std::vector<std::weak_ptr<Object>> watched;
};

struct PinObject final : Object {
    PinObject(Memory& of, u8 owner) : Object(ObjectKind::pin), memory(of), space(owner) {}
    ~PinObject() override;
    Memory& memory;
    u8 space;
    std::vector<u64> pages;  ///< addresses of the model that were pinned
};

class Descriptors final : public DescriptorTable {
public:
    /// Where Fd closes a number that several processes have: asked at that moment.
    explicit Descriptors(std::function<int()> process) : process_(std::move(process)) {}

    int add(int process, ObjectRef object);
    ObjectRef find(int process, int number) const;
    /// nullptr: no such number, or of another kind.
    template <class T>
    std::shared_ptr<T> find_as(int process, int number, ObjectKind kind) const {
        const ObjectRef found = find(process, number);
        return found != nullptr && found->kind == kind ? std::static_pointer_cast<T>(found)
                                                       : nullptr;
    }
    bool close(int process, int number);
    void copy_all(int from, int to);
    void close_all(int process);
    /// How many numbers are open: for checks that nothing leaks.
    std::size_t open(int process) const;
    std::vector<int> open_numbers(int process) const;

private:
    int close_number(int number) override;
    using Names = std::map<int, ObjectRef>;
    std::map<int, Names> of_;
    std::function<int()> process_;
    int next_ = 0;
};

}  // namespace verso::mm::sim
