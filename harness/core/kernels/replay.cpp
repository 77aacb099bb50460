// Transactions done one after another: the binding.
//
// replay(vertices, snapshot, keys, source, target, priority, part, reader, writer, key, author,
//        written, steps_each) -> (place, failed)
//   int32 buffers: edges between vertices (events first); priority and part of each transaction;
//   reads (the writer is -1 for the initial state) and writes of transactions. place: int32 bytes,
//   of each event; failed: parts for which no order was found. ValueError if a number does not fit.
#include "arguments.hpp"

#include <climits>

#include "replay.hpp"

namespace {

using replay::i32;
using replay::Input;
using replay::Replay;

constexpr int COLUMNS = 9;

PyObject* replay_parts(PyObject*, PyObject* args) {
  Buffers<COLUMNS> in;
  int vertices, snapshot, keys;
  long long steps_each;
  Py_buffer* v = in.views;
  if (!PyArg_ParseTuple(args, "ipiy*y*y*y*y*y*y*y*y*L", &vertices, &snapshot, &keys, &v[0], &v[1],
                        &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &steps_each)) {
    return nullptr;
  }
  if (!in.of_codes()) return refuse("columns must be int32");
  const std::size_t transactions = in.count(2), events = snapshot ? 2 * transactions : transactions;
  if (vertices < 0 || keys < 0 || steps_each < 0 || steps_each > INT_MAX) {
    return refuse("a bound is negative or too large");
  }
  if (in.count(0) != in.count(1) || transactions != in.count(3) || in.count(4) != in.count(5) ||
      in.count(4) != in.count(6) || in.count(7) != in.count(8) ||
      events > static_cast<std::size_t>(vertices)) {
    return refuse("columns of one table must be equally long");
  }
  if (in.count(0) > INT_MAX || in.count(4) > INT_MAX || in.count(7) > INT_MAX) {
    return refuse("too many rows");
  }
  const i32 n = static_cast<i32>(transactions);
  if (!in.within(0, 0, vertices) || !in.within(1, 0, vertices) || !in.within(4, 0, n) ||
      !in.within(5, -1, n) || !in.within(6, 0, keys) || !in.within(7, 0, n) ||
      !in.within(8, 0, keys)) {
    return refuse("a number is that of no vertex, transaction or key");
  }
  const Input input{vertices,    static_cast<i32>(events),
                    snapshot != 0, in.codes(0),
                    in.codes(1), in.count(0),
                    in.codes(2), in.codes(3),
                    in.codes(4), in.codes(5),
                    in.codes(6), in.count(4),
                    in.codes(7), in.codes(8),
                    in.count(7), keys,
                    n};
  std::vector<i32> place, failed;
  if (!unlocked([&] {
        Replay all(input);
        all.run(steps_each);
        place.swap(all.place);
        failed.swap(all.failed);
      })) {
    return nullptr;
  }
  return Py_BuildValue("NN", bytes_of(place), bytes_of(failed));
}

}  // namespace

PyMethodDef replay_methods[] = {
    {"replay", replay_parts, METH_VARARGS, "Orders in which transactions can be done."},
    {nullptr, nullptr, 0, nullptr}};
