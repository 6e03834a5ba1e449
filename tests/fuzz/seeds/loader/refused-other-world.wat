;; Fits the world `charm`, but for an interface of the other world.
(component
  (import "commontools:background/charms@0.1.0" (instance))
  (core module $m (func (export "f")))
  (core instance $m (instantiate $m))
  (func $f (canon lift (core func $m "f")))
  (export "setup" (func $f))
  (export "handle" (func $f)))
