// LocalFiller: the parent region is in this process. It keeps the parent, and its layer, alive.
#pragma once

#include "engine/region.h"

namespace verso::engine {

class LocalFiller final : public Filler {
public:
    static Result<std::unique_ptr<Filler>> make(std::shared_ptr<Region> parent, Layer& layer,
                                                BaseFile base_file);
    ~LocalFiller() override;
    LocalFiller(const LocalFiller&) = delete;
    LocalFiller& operator=(const LocalFiller&) = delete;

    void fill(FillTarget& target, u64 page) override { parent_->serve(target, layer_, page); }
    void settle(FillTarget& target) override;
    std::vector<Level> levels() override { return parent_->levels_of(layer_); }
    Result<void> settle_levels() override;

private:
    LocalFiller(std::shared_ptr<Region> parent, Layer& layer, BaseFile base_file)
        : parent_(std::move(parent)), layer_(layer), base_file_(base_file) {}

    std::shared_ptr<Region> parent_;
    Layer& layer_;
    BaseFile base_file_;
};

}  // namespace verso::engine
