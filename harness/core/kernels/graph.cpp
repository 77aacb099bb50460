// Components and short cycles of graphs of dependencies: the binding.
//
// graph_new(vertices, transactions, source, target, kind, searched) -> graph
//   source, target: int32[e] buffers of vertices; kind: uint8[e]. searched: whether graph_cycles
//   will be called. ValueError if an edge leads to no vertex.
// graph_components(graph, mask, apart) -> (component, size)
//   int32 bytes, of each vertex and of each component; with apart, of each of the states
//   2 * vertex + (the last edge was one of apart).
// graph_reaching(graph, mask, component, condensed, order, source, target, looks) -> answers
//   component, condensed, order: int32[vertices]; source, target: int32[pairs]. One byte a pair;
//   0: no, 1: yes, 2: not decided.
// graph_cycles(graph, component, starts, first, walk, last, apart, longest, looks)
//   -> (lengths, rows, complete)
//   component: int32[vertices], -1: none; starts: int32[], vertices in a component. int32 bytes: how
//   many edges each cycle has, and their rows.
// A graph never changes, so that several threads may use it. ValueError if the arguments do not fit.
#include "arguments.hpp"

#include <climits>

#include "graph_components.hpp"
#include "graph_cycles.hpp"

namespace {

using namespace graph;

constexpr const char* NAME = "harness.core.kernels._native.graph";
constexpr i32 VERTICES_MAX = INT_MAX / 4 - 1;  // a search has four states of each

void destroy(PyObject* capsule) {
  delete static_cast<Edges*>(PyCapsule_GetPointer(capsule, NAME));
}

bool is_mask(int value) { return value >= 0 && value <= UCHAR_MAX; }

PyObject* graph_new(PyObject*, PyObject* args) {
  Buffers<3> in;
  long long vertices, transactions;
  int searched;
  if (!PyArg_ParseTuple(args, "LLy*y*y*p", &vertices, &transactions, &in.views[0], &in.views[1],
                        &in.views[2], &searched)) {
    return nullptr;
  }
  if (vertices < 0 || vertices > VERTICES_MAX) return refuse("too many vertices, or less than none");
  if (transactions < 0 || transactions > vertices) return refuse("transactions are vertices");
  const std::size_t count = static_cast<std::size_t>(in.views[2].len);
  for (int i = 0; i < 2; ++i) {
    if (in.views[i].len % 4 != 0 || in.count(i) != count ||
        reinterpret_cast<std::uintptr_t>(in.views[i].buf) % alignof(i32) != 0) {
      return refuse("source and target must be int32, kind uint8, and all equally long");
    }
  }
  if (count > INT_MAX) return refuse("too many edges");
  Edges* made = new (std::nothrow) Edges;
  if (made == nullptr) return PyErr_NoMemory();
  made->vertices = static_cast<i32>(vertices);
  made->transactions = static_cast<i32>(transactions);
  bool legal = false;
  const u8* kinds = static_cast<const u8*>(in.views[2].buf);
  if (!unlocked([&] { legal = made->fill(in.codes(0), in.codes(1), kinds, count, searched != 0); })) {
    delete made;
    return nullptr;
  }
  if (!legal) {
    delete made;
    return refuse("an edge leads to or from no vertex");
  }
  PyObject* capsule = PyCapsule_New(made, NAME, destroy);
  if (capsule == nullptr) delete made;
  return capsule;
}

PyObject* graph_components(PyObject*, PyObject* args) {
  PyObject* capsule;
  int mask, apart;
  if (!PyArg_ParseTuple(args, "Oii", &capsule, &mask, &apart)) return nullptr;
  const Edges* edges = static_cast<const Edges*>(PyCapsule_GetPointer(capsule, NAME));
  if (edges == nullptr) return nullptr;
  if (!is_mask(mask) || !is_mask(apart)) return refuse("a mask has eight bits");
  std::vector<i32> found, sizes;
  const bool done = unlocked([&] {
    const u8 kinds = static_cast<u8>(mask), separate = static_cast<u8>(apart);
    const i32 count = apart != 0 ? strong_components<true>(*edges, kinds, separate, found)
                                 : strong_components<false>(*edges, kinds, separate, found);
    sizes.assign(static_cast<std::size_t>(count), 0);
    for (const i32 one : found) ++sizes[one];
  });
  return done ? Py_BuildValue("NN", bytes_of(found), bytes_of(sizes)) : nullptr;
}

PyObject* graph_reaching(PyObject*, PyObject* args) {
  PyObject* capsule;
  Buffers<5> in;
  int mask;
  long long looks;
  if (!PyArg_ParseTuple(args, "Oiy*y*y*y*y*L", &capsule, &mask, &in.views[0], &in.views[1],
                        &in.views[2], &in.views[3], &in.views[4], &looks)) {
    return nullptr;
  }
  const Edges* edges = static_cast<const Edges*>(PyCapsule_GetPointer(capsule, NAME));
  if (edges == nullptr) return nullptr;
  const std::size_t vertices = static_cast<std::size_t>(edges->vertices);
  if (!is_mask(mask)) return refuse("a mask has eight bits");
  if (!in.of_codes() || in.count(0) != vertices || in.count(1) != vertices ||
      in.count(2) != vertices || in.count(3) != in.count(4)) {
    return refuse("component, condensed and order must be int32, one a vertex, and pairs int32");
  }
  for (int i = 0; i < 5; ++i) {
    if (!in.within(i, 0, edges->vertices)) return refuse("a number is that of no vertex");
  }
  std::vector<u8> answers;
  const bool done = unlocked([&] {
    Reaching reaching(*edges, static_cast<u8>(mask), in.codes(0), in.codes(1), in.codes(2));
    reaching.run(in.codes(3), in.codes(4), in.count(3), looks, answers);
  });
  return done ? bytes_of(answers) : nullptr;
}

PyObject* graph_cycles(PyObject*, PyObject* args) {
  PyObject* capsule;
  Buffers<2> in;
  int masks[4], longest;
  long long looks;
  if (!PyArg_ParseTuple(args, "Oy*y*iiiiiL", &capsule, &in.views[0], &in.views[1], &masks[0],
                        &masks[1], &masks[2], &masks[3], &longest, &looks)) {
    return nullptr;
  }
  const Edges* edges = static_cast<const Edges*>(PyCapsule_GetPointer(capsule, NAME));
  if (edges == nullptr) return nullptr;
  if (edges->row.size() != edges->target.size()) return refuse("this graph is not to be searched");
  for (const int mask : masks) {
    if (!is_mask(mask)) return refuse("a mask has eight bits");
  }
  if (longest < 0 || longest > edges->vertices) return refuse("no cycle is longer than the graph");
  if (!in.of_codes() || in.count(0) != static_cast<std::size_t>(edges->vertices)) {
    return refuse("component must be int32, one a vertex, and starts int32");
  }
  if (!in.within(0, -1, edges->vertices) || !in.within(1, 0, edges->vertices)) {
    return refuse("a number is that of no component or vertex");
  }
  const i32* component = in.codes(0);
  for (std::size_t i = 0; i < in.count(1); ++i) {
    if (component[in.codes(1)[i]] < 0) return refuse("a start is in no component");
  }
  std::vector<i32> lengths, rows;
  bool complete = false;
  const bool done = unlocked([&] {
    const Shape shape{static_cast<u8>(masks[0]), static_cast<u8>(masks[1]),
                      static_cast<u8>(masks[2]), static_cast<u8>(masks[3])};
    CycleSearch search(*edges, component, shape, longest);
    complete = search.run(in.codes(1), in.count(1), looks);
    for (const auto* cycles : {&search.best, &search.others}) {
      for (const std::vector<u32>& cycle : *cycles) {
        lengths.push_back(static_cast<i32>(cycle.size()));
        for (const u32 slot : cycle) rows.push_back(edges->row[slot]);
      }
    }
  });
  if (!done) return nullptr;
  return Py_BuildValue("NNO", bytes_of(lengths), bytes_of(rows), complete ? Py_True : Py_False);
}

}  // namespace

PyMethodDef graph_methods[] = {
    {"graph_new", graph_new, METH_VARARGS, "A graph of these edges."},
    {"graph_components", graph_components, METH_VARARGS, "Its strongly connected components."},
    {"graph_reaching", graph_reaching, METH_VARARGS, "Which vertices reach which others."},
    {"graph_cycles", graph_cycles, METH_VARARGS, "Short cycles of a kind in its components."},
    {nullptr, nullptr, 0, nullptr}};
