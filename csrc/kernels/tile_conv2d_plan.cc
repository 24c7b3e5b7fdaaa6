// See tile_conv2d_plan.h.
#include "kernels/tile_conv2d_plan.h"

#include <algorithm>

namespace kerascnn {
namespace {

constexpr int64_t kCacheBytes = 704 << 10;  // of a second-level cache of 2 MiB, beside weights or sums
constexpr int64_t kSumTiles = 576;          // 1 KiB each, of a slice of the filter gradient
constexpr int64_t kLongLine = 640;          // targets after which loading and storing sums shows little

struct AxisTap {
  int64_t phase, offset, kernel;
};

// The taps of one axis: tap a of the filters stands at a * dilation - before = stride * offset + phase.
std::vector<AxisTap> AxisTaps(int64_t kernel, int64_t stride, int64_t dilation, int64_t before) {
  std::vector<AxisTap> taps;
  for (int64_t a = 0; a < kernel; ++a) {
    const int64_t at = a * dilation - before, offset = FloorDiv(at, stride);
    taps.push_back({at - offset * stride, offset, a});
  }
  return taps;
}

// Of the input gradient: the taps that reach pixels of one phase, in distances along dy.
std::vector<AxisTap> TurnedTaps(const std::vector<AxisTap>& taps, int64_t phase) {
  std::vector<AxisTap> turned;
  for (const AxisTap& tap : taps) {
    if (tap.phase == phase) turned.push_back({0, -tap.offset, tap.kernel});
  }
  return turned;
}

void Reach(const std::vector<AxisTap>& taps, TileAxis* axis) {
  axis->low = axis->high = 0;
  for (const AxisTap& tap : taps) {
    axis->low = std::min(axis->low, tap.offset), axis->high = std::max(axis->high, tap.offset);
  }
  axis->lead = -axis->low;
}

// Zeros that end one row are those that begin the next.
int64_t SharedPeriod(const TileAxis& axis, const std::vector<AxisTap>& taps) {
  int64_t period = axis.targets;
  for (const AxisTap& tap : taps) {
    const int64_t used = axis.Used(tap.phase), beyond = std::max<int64_t>(0, axis.targets + axis.high - used);
    period = std::max(period, used + std::max(axis.lead, beyond));
  }
  return period;
}

TileJob MakeJob(const TileAxis& y, const TileAxis& x, const std::vector<AxisTap>& rows,
                const std::vector<AxisTap>& columns, int64_t kernel_width) {
  TileJob job;
  job.y = y, job.x = x;
  Reach(rows, &job.y), Reach(columns, &job.x);
  job.x.period = SharedPeriod(job.x, columns);
  job.y.period = SharedPeriod(job.y, rows);
  for (const AxisTap& row : rows) {
    for (const AxisTap& column : columns) {
      const auto same = [&](const TilePlane& plane) { return plane.y == row.phase && plane.x == column.phase; };
      const auto found = std::find_if(job.planes.begin(), job.planes.end(), same);
      const int64_t plane = found - job.planes.begin();
      if (found == job.planes.end()) job.planes.push_back({row.phase, column.phase});
      job.taps.push_back({plane, row.offset, column.offset, row.kernel * kernel_width + column.kernel});
    }
  }
  return job;
}

}  // namespace

int64_t TileAxis::Used(int64_t phase) const {
  const int64_t all = phase < source ? (source - phase - 1) / step + 1 : 0;
  return std::max<int64_t>(0, std::min(all, targets + high));
}

int64_t TileJob::positions() const {
  // Targets are rounded up, and taps reach beyond the last of them.
  return (y.lead + std::max<int64_t>(0, y.high)) * x.period + x.lead + std::max<int64_t>(0, x.high) +
         group * y.period * x.period + 64;
}

// As many rows, or as many images, as the cache holds; a line of small images is long enough to pay for its sums.
void TileJob::Cut(bool filter) {
  const int64_t planes_bytes = x.period * depth * 2 * (filter ? 3 : 1) * std::max<int64_t>(1, planes.size());
  const int64_t row = planes_bytes + (filter ? 2 * x.period * out_slice * 16 * 2 : 0);
  const int64_t fit = std::max<int64_t>(1, kCacheBytes / std::max<int64_t>(1, row) - (y.high + y.lead));
  strip = std::max<int64_t>(1, std::min(y.targets, fit));
  strips = CeilDiv(y.targets, strip);
  strip = CeilDiv(y.targets, strips);
  strips = CeilDiv(y.targets, strip);
  group = 1;
  if (strips == 1) {
    const int64_t line = y.period * x.period;
    group = std::min({batch, CeilDiv(kLongLine, line), std::max<int64_t>(1, fit / y.period)});
  } else {
    y.period = strip + y.high + y.lead;
  }
  chunks = CeilDiv(items(), group);
}

std::vector<TileJob> TileJob::Make(const Conv2D& conv, Conv2DKind kind) {
  const bool gradient = kind == Conv2DKind::kInputGradient, filter = kind == Conv2DKind::kFilterGradient;
  const std::vector<AxisTap> rows = AxisTaps(conv.kernel_height, conv.stride_y, conv.dilation_y, conv.pad_y.before);
  const std::vector<AxisTap> columns = AxisTaps(conv.kernel_width, conv.stride_x, conv.dilation_x, conv.pad_x.before);
  std::vector<TileJob> jobs;
  const auto add = [&](const TileAxis& y, const TileAxis& x, const auto& row_taps, const auto& column_taps) {
    TileJob job = MakeJob(y, x, row_taps, column_taps, conv.kernel_width);
    job.batch = conv.batch;
    job.source_channels = gradient ? conv.filters : conv.channels;
    job.target_channels = gradient ? conv.channels : conv.filters;
    job.depth = RoundUp(job.source_channels, 32);
    if (filter) {
      // Squares pack each pixel least often. Even numbers of blocks, as two are summed at a time.
      int64_t side = 2;
      while ((side + 2) * (side + 2) * static_cast<int64_t>(job.taps.size()) <= kSumTiles) side += 2;
      const auto slice = [side](int64_t blocks) { return RoundUp(CeilDiv(blocks, CeilDiv(blocks, side)), 2); };
      job.in_slice = std::min(job.in_blocks(), slice(job.in_blocks()));
      job.out_slice = std::min(job.out_blocks(), slice(job.out_blocks()));
      job.depth = job.in_slice * 16;
    }
    job.Cut(filter);
    jobs.push_back(job);
  };
  TileAxis y, x;
  if (!gradient) {
    y.source = conv.height, y.step = conv.stride_y, y.targets = conv.output_height();
    x.source = conv.width, x.step = conv.stride_x, x.targets = conv.output_width();
    add(y, x, rows, columns);
    return jobs;
  }
  y.source = conv.output_height(), y.target_step = conv.stride_y;
  x.source = conv.output_width(), x.target_step = conv.stride_x;
  for (int64_t i = 0; i < std::min(conv.stride_y, conv.height); ++i) {
    for (int64_t j = 0; j < std::min(conv.stride_x, conv.width); ++j) {
      y.target_first = i, y.targets = CeilDiv(conv.height - i, conv.stride_y);
      x.target_first = j, x.targets = CeilDiv(conv.width - j, conv.stride_x);
      add(y, x, TurnedTaps(rows, i), TurnedTaps(columns, j));
    }
  }
  return jobs;
}

}  // namespace kerascnn
