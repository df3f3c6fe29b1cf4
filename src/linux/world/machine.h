// What triggers change of the machine, and how it gets back to what it was.
//
//   Machine   one lock for all processes of the machine: two that change its settings would each
//     │       restore what the other had set. Held from the first trigger of a world to its end.
//     ├ SwapFile   64 MiB, first in line for pages that go out; kept while the lock is held
//     └ Setting    a value in /proc or /sys, for as long as the object lives
//
// Everything is undone by a destructor, in reverse order, and was promised to the keeper before
// it was done: if this process is killed in between, the keeper does it, and holds the lock until
// then. Lock: Machine::guard_, held by a trigger while it acts; before Keeper's.
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
};

class SwapFile {
public:
    static Result<std::unique_ptr<SwapFile>> make(Keeper& keeper);
    ~SwapFile();
    SwapFile(const SwapFile&) = delete;
    SwapFile& operator=(const SwapFile&) = delete;

    Result<void> off();
    Result<void> on();

private:
    explicit SwapFile(std::string path) : path_(std::move(path)) {}
    static Result<std::unique_ptr<SwapFile>> make_in(Keeper& keeper, const std::string& folder);
    const std::string path_;
    Promise removed_;
    Promise off_;
    bool is_on_ = false;
};

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
    std::mutex guard_;
    std::unique_ptr<SwapFile> swap_;       // under guard_
    std::unique_ptr<Setting> huge_pages_;  // under guard_
};

}  // namespace verso::host
