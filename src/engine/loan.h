// Loan: the lender's side of Region::attach. It opens the userfaultfd of its own address space,
// hands it over, and watches the engine: an engine that dies must leave neither a silent hang nor
// silent zeroes (H15).
#pragma once

#include <memory>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/kernel.h"

namespace verso::engine {

class Loan {
public:
    static Result<std::unique_ptr<Loan>> make(kernel::Kernel& kernel, int socket,
                                              const AdoptOptions& memory, OnEngineDeath policy);
    ~Loan();
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;

private:
    Loan(kernel::Kernel& kernel, u64 address, u64 length, OnEngineDeath policy)
        : kernel_(kernel), address_(address), length_(length), policy_(policy) {}
    void watch();
    void take_leave();
    void end();

    kernel::Kernel& kernel_;
    u64 address_;
    u64 length_;
    OnEngineDeath policy_;
    bool in_force_ = false;  // the engine has accepted
    Fd uffd_;
    Fd socket_;
    Fd engine_;  // its process: another that it made by fork(2) may keep the socket open
    Fd stop_;
    std::unique_ptr<kernel::Thread> watcher_;
};

}  // namespace verso::engine
