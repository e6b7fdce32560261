;; Traps as it starts, before anybody calls it; the dry start after an upload finds that.
;;
;; Rust leaves no choice of what runs at the start, so this flow is written by hand, as `hostile/table_bomb.wat` is.
(component
  (import "flowgate:flow/flow-types@0.1.0" (instance $types
    (type $json' string)
    (export "json" (type $json (eq $json')))
    (type $bytes (list u8))
    (type $header' (record (field "name" string) (field "value" $bytes)))
    (export "header" (type $header (eq $header')))
    (type $headers (list $header))
    (type $request' (record
      (field "method" string) (field "path" string) (field "query" string) (field "headers" $headers)
      (field "body" $bytes) (field "peer" string)))
    (export "request" (type $request (eq $request')))
    (type $text (option string))
    (type $trigger' (record
      (field "execution-id" string) (field "flow" string) (field "version" string) (field "hook" string)
      (field "dialect" string) (field "attempt" u32) (field "received-at-ms" u64) (field "deadline-ms" u64)
      (field "message" $text) (field "user-id" $text) (field "session-id" $text) (field "data" $json)
      (field "metadata" $json) (field "request" $request)))
    (export "trigger" (type (eq $trigger')))
    (type $http-reply' (record (field "status" u16) (field "headers" $headers) (field "body" $bytes)))
    (export "http-reply" (type $http-reply (eq $http-reply')))
    (type $data (option $json))
    (type $raw (option $http-reply))
    (type $reply' (record (field "text" $text) (field "data" $data) (field "raw" $raw)))
    (export "reply" (type (eq $reply')))
    (type $input-error' (record
      (field "field" string) (field "expected" string) (field "received" string) (field "message" string)))
    (export "input-error" (type $input-error (eq $input-error')))
    (type $after-ms (option u64))
    (type $retry-after' (record (field "after-ms" $after-ms) (field "message" string)))
    (export "retry-after" (type $retry-after (eq $retry-after')))
    (type $failure' (variant (case "invalid-input" $input-error) (case "failed" string) (case "retry" $retry-after)))
    (export "failure" (type (eq $failure')))))

  (core module $start
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      unreachable)
    (func (export "handle") (param i32) (result i32)
      unreachable)
    (func $trap
      unreachable)
    (start $trap))

  (core instance $start (instantiate $start))
  (alias core export $start "memory" (core memory $memory))
  (alias core export $start "realloc" (core func $realloc))
  (alias core export $start "handle" (core func $run))
  (alias export $types "trigger" (type $trigger))
  (alias export $types "reply" (type $reply))
  (alias export $types "failure" (type $failure))
  (func $handle (param "t" $trigger) (result (result $reply (error $failure)))
    (canon lift (core func $run) (memory $memory) (realloc $realloc)))
  (instance $handler
    (export "handle" (func $handle)))
  (export "flowgate:flow/handler@0.1.0" (instance $handler)))
