// Runtime: see the header.
#include "engine/runtime.h"

#include <algorithm>

#include "engine/stripes.h"

namespace verso::engine {

Runtime::Runtime(kernel::Kernel& kernel)
    : kernel_(kernel), mutex_(kernel.make_mutex()), changed_(kernel.make_condition()) {}

Runtime::~Runtime() {
    {
        Locked lock(*mutex_);
        ending_ = true;
        for (const std::shared_ptr<Running>& each : running_) {
            each->service->stop();
        }
        changed_->notify_all();
    }
    reaper_.reset();
}

Result<Runtime::Seat> Runtime::seat() {
    if (regions_.fetch_add(1) >= Limits::regions_max) {
        regions_.fetch_sub(1);
        return fail(ErrorKind::resource, 0,
                    "this process already has {} regions (snapshot views count); release some",
                    Limits::regions_max);
    }
    return Seat(*this);
}

Result<void> Runtime::start(const std::string& name, std::unique_ptr<Service> service) {
    auto running = std::make_shared<Running>();
    running->service = std::move(service);
    Locked lock(*mutex_);
    const auto refused = [] {
        return fail(ErrorKind::resource, 0,
                    "no more threads to serve a child; raise the limit (ulimit -u)");
    };
    if (reaper_ == nullptr) {
        reaper_ = kernel_.spawn("verso-reaper", [this] { reap(); });
        if (reaper_ == nullptr) {
            return refused();
        }
    }
    running_.push_back(running);
    running->thread = kernel_.spawn(name, [this, running] {
        running->service->run();
        Locked done(*mutex_);
        running->finished = true;
        changed_->notify_all();
    });
    if (running->thread == nullptr) {
        running_.pop_back();
        return refused();
    }
    return {};
}

std::size_t Runtime::services() {
    Locked lock(*mutex_);
    return running_.size();
}

void Runtime::reap() {
    mutex_->lock();
    while (!ending_ || !running_.empty()) {
        const auto at = std::find_if(running_.begin(), running_.end(),
                                     [](const auto& each) { return each->finished; });
        if (at == running_.end()) {
            changed_->wait(*mutex_);
            continue;
        }
        std::shared_ptr<Running> finished = std::move(*at);
        running_.erase(at);
        mutex_->unlock();
        finished->thread.reset();  // joins; the thread's own reference goes with it
        finished.reset();          // the service, and with it perhaps the last user of a region
        mutex_->lock();
    }
    mutex_->unlock();
}

}  // namespace verso::engine
