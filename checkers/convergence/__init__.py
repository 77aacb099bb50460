"""Convergence, and replicated data types: what replicas that take updates on their own may answer.

Each checker is a module with one class: :mod:`.set_full`, :mod:`.replicas` (convergence of any
type), :mod:`.pn_counter`, :mod:`.g_counter`, :mod:`.or_set`, :mod:`.lww_register`,
:mod:`.mv_register`, :mod:`.sequence`. They share :mod:`.findings` (anomalies, and the verdict that
follows), :mod:`.quiescence` (which reads are final), and :mod:`.elements` (lists as codes).

Which operations each of them reads is in ``docs/convergence.md``.
"""
