// Saturation of polygraphs over vector clocks: the binding.
//
// saturate_clocks(vertices, chains, snapshot, keys, source, target, chain, place, reader, writer,
//                 key, author, written, rounds_max, forced_max, possible_max)
//   -> (status, forced, possible, all)
//   int32 buffers: edges between vertices; chain and place of each event; reads and writes of
//   transactions. status: 0 complete, 1 cyclic, 2 given up. forced: six int32 an edge (source,
//   target, overwrites, reader, writer, other). possible: pairs of transactions; all: whether these
//   are all. ValueError if a number does not fit.
#include "arguments.hpp"
#include "saturation_clocks.hpp"

namespace {

using saturation::Forced;
using saturation::i32;
using saturation::Input;
using saturation::Saturation;
using saturation::Status;

constexpr int COLUMNS = 9;

PyObject* saturate_clocks(PyObject*, PyObject* args) {
  Buffers<COLUMNS> in;
  int vertices, chains, snapshot, keys, rounds_max;
  long long forced_max, possible_max;
  Py_buffer* v = in.views;
  if (!PyArg_ParseTuple(args, "iipiy*y*y*y*y*y*y*y*y*iLL", &vertices, &chains, &snapshot, &keys,
                        &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &rounds_max,
                        &forced_max, &possible_max)) {
    return nullptr;
  }
  if (!in.of_codes()) return refuse("columns must be int32");
  const std::size_t events = in.count(2);
  if (vertices < 0 || vertices > INT_MAX / 2 || chains < 1 || keys < 0 || forced_max < 0 ||
      possible_max < 0 || forced_max > INT_MAX / 4 || possible_max > INT_MAX / 4) {
    return refuse("a bound is negative or too large");
  }
  if (in.count(0) != in.count(1) || events != in.count(3) || in.count(4) != in.count(5) ||
      in.count(4) != in.count(6) || in.count(7) != in.count(8) ||
      events > static_cast<std::size_t>(vertices) || (snapshot && events % 2 != 0)) {
    return refuse("columns of one table must be equally long");
  }
  if (in.count(0) > INT_MAX / 4) return refuse("too many edges");
  const i32 transactions = static_cast<i32>(snapshot ? events / 2 : events);
  if (!in.within(0, 0, vertices) || !in.within(1, 0, vertices) || !in.within(2, 0, chains) ||
      !in.within(3, 0, INT_MAX) || !in.within(4, 0, transactions) || !in.within(5, 0, transactions) ||
      !in.within(6, 0, keys) || !in.within(7, 0, transactions) || !in.within(8, 0, keys)) {
    return refuse("a number is that of no vertex, chain, transaction or key");
  }
  const Input input{vertices,       static_cast<i32>(events), chains,         snapshot != 0,
                    in.codes(0),    in.codes(1),              in.count(0),    in.codes(2),
                    in.codes(3),    in.codes(4),              in.codes(5),    in.codes(6),
                    in.count(4),    in.codes(7),              in.codes(8),    in.count(7),
                    keys};
  Status status = Status::INCOMPLETE;
  std::vector<i32> flat, pairs;
  bool all = false;
  if (!unlocked([&] {
        Saturation saturation(input);
        status = saturation.run(rounds_max, static_cast<std::size_t>(forced_max));
        for (const Forced& edge : saturation.forced) {
          for (const i32 one :
               {edge.source, edge.target, edge.overwrites, edge.reader, edge.writer, edge.other}) {
            flat.push_back(one);
          }
        }
        if (status != Status::CYCLIC) {
          all = saturation.possible(static_cast<std::size_t>(possible_max), pairs);
        }
      })) {
    return nullptr;
  }
  return Py_BuildValue("iNNO", static_cast<int>(status), bytes_of(flat), bytes_of(pairs),
                       all ? Py_True : Py_False);
}

}  // namespace

PyMethodDef saturation_methods[] = {
    {"saturate_clocks", saturate_clocks, METH_VARARGS, "What the choices of a polygraph must be."},
    {nullptr, nullptr, 0, nullptr}};
