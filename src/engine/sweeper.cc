// Sweeper: see the header.
#include "engine/sweeper.h"

#include "engine/stripes.h"

namespace verso::engine {

void Sweeper::add(u64 chunk) {
    Locked lock(*mutex_);
    if (ended_ || refused_) {
        return;
    }
    chunks_.push_back(chunk);
    if (thread_ == nullptr) {
        thread_ = kernel_.spawn("verso-sweep", [this] { run(); });
        refused_ = thread_ == nullptr;
    }
    changed_->notify_all();
}

/// The latest first: before a sequential writer that is the one farthest ahead of it, where the
/// reader does not get in the way.
void Sweeper::run() {
    mutex_->lock();
    while (!ended_) {
        if (chunks_.empty()) {
            changed_->wait(*mutex_);
            continue;
        }
        const u64 chunk = chunks_.back();
        chunks_.pop_back();
        mutex_->unlock();
        const bool more = step_(chunk);
        mutex_->lock();
        if (more) {
            chunks_.push_back(chunk);
        }
    }
    mutex_->unlock();
}

void Sweeper::stop() {
    {
        Locked lock(*mutex_);
        ended_ = true;
        changed_->notify_all();
    }
    thread_.reset();
}

}  // namespace verso::engine
