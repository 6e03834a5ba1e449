;; A manifest with a field whose name would clear a terminal, and forge a line.
(component (@custom "commontools:manifest" "{\"\\u001b[2J\\nerror: none\":1}"))
