// What triggers change of the machine, and how it gets back to what it was.
//
//   Machine   one lock for all processes of the machine: two that change its settings would each
//     │       restore what the other had set. Held from the first trigger of a world to its end.
//     ├ SwapFile   64 MiB, first in line for pages that go out; kept while the lock is held
//     └ Setting    a value in /proc or /sys, for as long as the object lives
//
// Everything is undone by a destructor, in reverse order, and was promised to the keeper before
// it was done: if this process is killed in between, the keeper does it, and holds the lock until
// then. If the keeper is killed with it, whoever has the lock next finds what was changed in a
// journal (journal.h) and the swap file by its name. Lock: Machine::guard_, held by a trigger while
// it acts; before Keeper's.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "linux/world/keeper.h"

namespace verso::host {

/// A promise to the keeper for as long as this lives.
class Promise {
public:
    Promise() = default;
    static Result<Promise> make(Keeper& keeper, const Undo& undo, int held = -1);
    Promise(Promise&& other) noexcept
        : keeper_(std::exchange(other.keeper_, nullptr)), number_(other.number_) {}
    Promise& operator=(Promise&& other) noexcept {
        take_back();
        keeper_ = std::exchange(other.keeper_, nullptr);
        number_ = other.number_;
        return *this;
    }
    ~Promise() { take_back(); }

private:
    void take_back();
    Keeper* keeper_ = nullptr;
    u64 number_ = 0;
};

/// Changed on construction, put back on destruction.
class Setting {
public:
    static Result<std::unique_ptr<Setting>> change(Keeper& keeper, const std::string& path,
                                                   const std::string& text);
    ~Setting();
    Setting(const Setting&) = delete;
    Setting& operator=(const Setting&) = delete;

private:
    explicit Setting(Undo undo) : undo_(std::move(undo)) {}
    const Undo undo_;
    Promise promise_;
    bool changed_ = false;
};

/// What kind of swap file. Those of one name are made under one lock: what else has that name was
/// left behind.
struct SwapForm {
    u64 bytes = u64{64} << 20;
    std::string_view name_begin = "/verso-swap-";
    int priority = 32'767;  // the highest there is: first in line
};

/// Where a swap file would be made, and what is free there for a user who is not root.
struct SwapRoom {
    std::string folder;
    u64 free_bytes = 0;
};
SwapRoom room_for_swap();

class SwapFile {
public:
    static Result<std::unique_ptr<SwapFile>> make(Keeper& keeper, const SwapForm& form);
    static Result<std::unique_ptr<SwapFile>> make(Keeper& keeper) { return make(keeper, {}); }
    ~SwapFile();
    SwapFile(const SwapFile&) = delete;
    SwapFile& operator=(const SwapFile&) = delete;

    Result<void> off();
    Result<void> on();

private:
    SwapFile(std::string path, int priority) : path_(std::move(path)), priority_(priority) {}
    static Result<std::unique_ptr<SwapFile>> make_in(Keeper& keeper, const SwapForm& form,
                                                     const std::string& folder);
    const std::string path_;
    const int priority_;
    Promise removed_;
    Promise off_;
    bool is_on_ = false;
};

/// The lock of a file, held while the descriptor or a copy of it is open. Waits for it so long.
Result<Fd> lock_of(const std::string& path, u64 patience_ms);

class Machine {
public:
    /// Waits for the lock for a minute at most.
    static Result<std::shared_ptr<Machine>> get();
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    std::mutex& guard() { return guard_; }
    Keeper& keeper() { return *keeper_; }
    Result<SwapFile*> swap();  // under guard()
    /// Undoes everything but the lock. No world may need it any more.
    void put_back();
    /// So many huge pages in the pool at least, until the machine is let go of.
    Result<void> huge_pages(u64 count);

private:
    Machine(Keeper* keeper, Fd lock) : keeper_(keeper), lock_(std::move(lock)) {}

    Keeper* const keeper_;
    const Fd lock_;
    Promise held_;
    Promise journal_;
    std::mutex guard_;
    std::unique_ptr<SwapFile> swap_;       // under guard_
    std::unique_ptr<Setting> huge_pages_;  // under guard_
};

}  // namespace verso::host
