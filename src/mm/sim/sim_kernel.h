// SimKernel: the seam over the model, for one process of a simulated world. A program written
// against Kernel runs on it as it does on linux/, and gets the same verdicts: errnos are the
// model's, and the same functions make outcomes of them (kernel/failure.cc).
//
//   Call ──▶ a scheduling point ──▶ addresses of the model ──▶ step … step ──▶ Outcome
//                                        │ blocked: this fiber waits for a wake, then retries
//                                        │ disabled: it waits until somebody does something
//                                        │ an event nobody has read: it waits for the reader
//
// Ops by file: sim_memory.cc (mappings), sim_access.cc (loads, stores, pins), sim_files.cc,
// sim_uffd.cc, sim_pagemap.cc, sim_wait.cc (waits, events, sockets, processes), sim_threads.cc.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "kernel/kernel.h"
#include "mm/sim/descriptors.h"
#include "mm/sim/scheduler.h"

namespace verso::mm::sim {

class SimWorld;

class SimKernel final : public kernel::Kernel {
public:
    SimKernel(SimWorld& world, int process);

    using Kernel::perform;
    kernel::Outcome perform(const kernel::Call& call, const kernel::Payload& payload) override;
    const kernel::Abilities& abilities() override;
    std::unique_ptr<kernel::Thread> spawn(const std::string& name,
                                          std::function<void()> body) override;
    std::unique_ptr<kernel::Mutex> make_mutex() override;
    std::unique_ptr<kernel::Condition> make_condition() override;
    u64 now_ns() override;
    void relax() override;
    /// The process has ended: lets go of what its calls had hold of.
    void let_go();

private:
    struct Watch {
        u64 begin;
        u64 end;
        kernel::FaultSink* sink;
    };

    // sim_kernel.cc
    Memory& memory();
    Scheduler& scheduler();
    Descriptors& descriptors();
    State& state() { return memory().state(); }
    u8 thread();
    u8 space();
    u64 model(u64 address) { return memory().to_model(space(), address); }
    u64 address_of(u64 model) { return memory().from_model(space(), model); }
    /// A call of this thread, through as many waits as it takes. Contents of [address, …) may be
    /// looked at.
    Outcome run(const Call& call, u64 address = 0, u64 length = 0) {
        return run(call, space(), address, length);
    }
    /// … in another process' memory: what a userfaultfd does.
    Outcome run(Call call, u8 where, u64 address, u64 length);
    Outcome wait_and_retry(u64 address, u64 length);
    void wait_for_a_step();
    void wait_for_reader();
    bool waits_for_a_reader();
    kernel::Outcome number_for(ObjectRef object);
    /// What a call has hold of while it waits. Kept by the kernel, not by the stack that waits: of
    /// a process that is killed nobody runs on to let go, and a socket's other end would not hear
    /// of it.
    template <class T>
    class Held {
    public:
        Held(SimKernel& kernel, std::shared_ptr<T> object)
            : kernel_(kernel),
              life_(kernel.life_),
              object_(object.get()),
              at_(object == nullptr ? kernel.held_.end()
                                    : kernel.held_.insert(kernel.held_.end(), std::move(object))) {}
        ~Held() {
            if (object_ != nullptr && life_ == kernel_.life_) {
                kernel_.held_.erase(at_);
            }
        }
        Held(const Held&) = delete;
        Held& operator=(const Held&) = delete;
        T* operator->() const { return object_; }
        friend bool operator==(const Held& held, std::nullptr_t) { return held.object_ == nullptr; }

    private:
        SimKernel& kernel_;
        unsigned life_;
        T* object_;
        std::list<std::shared_ptr<Object>>::iterator at_;
    };
    template <class T>
    Held<T> object(int number, ObjectKind kind) {
        return Held<T>(*this, descriptors().find_as<T>(process_, number, kind));
    }
    kernel::Outcome dispatch(const kernel::Call& call, const kernel::Payload& payload);

    // sim_memory.cc
    kernel::Outcome map(const kernel::Call& call);
    kernel::Outcome unmap(const kernel::Call& call);
    kernel::Outcome protect(const kernel::Call& call);
    kernel::Outcome advise(const kernel::Call& call);
    kernel::Outcome remap(const kernel::Call& call);
    kernel::Outcome check_mapped(const kernel::Call& call);
    kernel::Outcome lock(const kernel::Call& call);
    Outcome populate_locked(const Vma& part);
    kernel::Outcome populate_mapped(Vpn first, Vpn last);
    kernel::Outcome memory_usage(const kernel::Call& call, const kernel::Payload& payload);
    bool is_free(u64 model, u64 length);
    u8 backing_of(const kernel::Call& call, int& error);

    // sim_access.cc
    /// Bytes of one page, in or out. Nothing: done.
    std::optional<kernel::Outcome> touch(Op op, u64 address, std::byte* bytes, u64 length,
                                         bool forced);
    /// Any bytes; `through` counts those that were done.
    std::optional<kernel::Outcome> touch_all(Op op, u64 address, std::span<std::byte> bytes,
                                             bool forced, u64& through);
    bool offer_fault(u64 address, bool write);
    kernel::Outcome access(const kernel::Call& call);
    kernel::Outcome memory_read(const kernel::Call& call, const kernel::Payload& payload);
    kernel::Outcome memory_write(const kernel::Call& call, const kernel::Payload& payload);
    kernel::Outcome pin(const kernel::Call& call);
    kernel::Outcome watch_segv(const kernel::Call& call, const kernel::Payload& payload);
    kernel::Outcome unwatch_segv(const kernel::Call& call);

    // sim_files.cc
    kernel::Outcome make_file(FileKind kind);
    kernel::Outcome memfd_create(const kernel::Call& call);
    kernel::Outcome file_size(const kernel::Call& call);
    kernel::Outcome file_resize(const kernel::Call& call);
    kernel::Outcome file_next_data(const kernel::Call& call);
    kernel::Outcome file_punch(const kernel::Call& call);
    kernel::Outcome file_used(const kernel::Call& call);
    kernel::Outcome file_read(const kernel::Call& call, const kernel::Payload& payload);
    kernel::Outcome file_write(const kernel::Call& call, const kernel::Payload& payload);
    int write_page(u8 file, u32 index, u64 offset, std::span<const std::byte> bytes);
    int read_page(u8 file, u32 index, u64 offset, std::span<std::byte> bytes);
    void clear_tail(u8 file, u64 bytes);

    // sim_uffd.cc
    kernel::Outcome uffd_open(const kernel::Call& call);
    kernel::Outcome uffd_create(bool user_mode_only);
    kernel::Outcome uffd_api(const kernel::Call& call);
    kernel::Outcome uffd_register(const kernel::Call& call);
    kernel::Outcome uffd_range(const kernel::Call& call);
    kernel::Outcome uffd_copy(const kernel::Call& call);
    kernel::Outcome uffd_fill(const kernel::Call& call);
    kernel::Outcome uffd_move(const kernel::Call& call);
    kernel::Outcome uffd_read(const kernel::Call& call, const kernel::Payload& payload);
    /// The pages that a COPY brings, as far as they can be read.
    std::vector<Contents> source_pages(u64 source, u64 count);

    // sim_pagemap.cc
    kernel::Outcome pagemap_scan(const kernel::Call& call, const kernel::Payload& payload);
    kernel::Outcome pagemap_read(const kernel::Call& call, const kernel::Payload& payload);
    kernel::Outcome scan(const kernel::Call& call, const kernel::Payload& payload);
    kernel::Outcome clear_refs();

    // sim_wait.cc
    kernel::Outcome wait(const kernel::Call& call, const kernel::Payload& payload);
    kernel::Outcome event_signal(const kernel::Call& call);
    kernel::Outcome event_drain(const kernel::Call& call);
    kernel::Outcome socket_send(const kernel::Call& call, const kernel::Payload& payload);
    kernel::Outcome socket_receive(const kernel::Call& call, const kernel::Payload& payload);
    kernel::Outcome end_process();
    kernel::Outcome process_self();
    kernel::Outcome duplicate(const kernel::Call& call);
    kernel::Outcome close(const kernel::Call& call);
    kernel::Outcome bundle(const kernel::Payload& payload);

    SimWorld& world_;
    const int process_;
    std::vector<Watch> watches_;
    std::list<std::shared_ptr<PinObject>> pins_under_way_;
    std::list<ObjectRef> held_;
    std::list<std::vector<ObjectRef>> watched_;  // by waits
    unsigned life_ = 0;                          // one more each time that all of it was let go
    std::optional<kernel::Abilities> abilities_;
};

/// What a call says that is neither a fill nor an access.
kernel::Outcome answer(const Outcome& outcome);

}  // namespace verso::mm::sim
