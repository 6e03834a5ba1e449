;; Components, modules, instances and aliases within each other.
(component $outer
  (type $t (list (tuple string u8)))
  (component $inner
    (alias outer $outer $t (type $u))
    (import "f" (func $f (param "x" $u)))
    (component (core module (table 1 funcref) (global (mut i64) (i64.const 7)) (data "abc")))
    (export "g" (func $f)))
  (import "f" (func $f (param "x" $t)))
  (instance $i (instantiate $inner (with "f" (func $f))))
  (alias export $i "g" (func $g))
  (type $resource (resource (rep i32)))
  (core func $new (canon resource.new $resource))
  (export "g" (func $g)))
