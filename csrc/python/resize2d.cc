// Resizing images of bytes as NumPy arrays.
#include "kernels/resize2d.h"

#include "python/arrays.h"

namespace kerascnn {
namespace {

Array<uint8_t> Resized(const Array<uint8_t>& x, int64_t height, int64_t width, bool bicubic, int threads) {
  const Four from = ShapeOf(x, "x");
  const Resize2DShape shape{from[0], from[1], from[2], from[3], height, width};
  ThrowIfWrong(Resize2DCheck(shape));
  Array<uint8_t> y = Empty<uint8_t>({from[0], height, width, from[3]});
  const uint8_t* source = DataOf<uint8_t>(x);
  uint8_t* target = MutableDataOf<uint8_t>(y);
  py::gil_scoped_release release;
  Resize2D(shape, bicubic ? ResizeKernel::kBicubic : ResizeKernel::kBilinear, source, target, ThreadsFor(threads));
  return y;
}

}  // namespace

void BindResize2D(py::module_& module) {
  using py::arg;
  module.def("resize2d", &Resized, arg("x").noconvert(), arg("height"), arg("width"), arg("bicubic") = false,
             arg("n_threads") = 1, "x [n, height, width, channels] of bytes -> the same at another size, antialiased.");
}

}  // namespace kerascnn
