# Answers golden.py: a line "procedure;vector;vector;…" each, numbers back. R 4.2.2, package stats alone.
say <- function(...) cat(sprintf("%.17g", c(...)), "\n")

level <- function(q, p, confidence) {
  below <- max(q((1 - confidence) / 2), 1) - 1 # how many averages lie below the interval, as wilcox.test has it
  c(below, 1 - 2 * p(below))
}

for (line in readLines(file("stdin"))) {
  part <- strsplit(line, ";")[[1]]
  v <- lapply(part[-1], function(s) as.numeric(strsplit(s, " ")[[1]]))
  switch(part[1],
    signedrank = {
      n <- length(v[[1]])
      w <- suppressWarnings(wilcox.test(v[[1]], exact = TRUE, conf.int = TRUE, conf.level = v[[2]]))
      say(w$estimate, w$conf.int, level(function(a) qsignrank(a, n), function(k) psignrank(k, n), v[[2]])[2], w$p.value)
    },
    signedranklevel = say(level(function(a) qsignrank(a, v[[1]]), function(k) psignrank(k, v[[1]]), v[[2]])),
    t = {
      w <- t.test(v[[1]], conf.level = v[[2]])
      say(w$estimate, w$conf.int, w$p.value)
    },
    shift = {
      m <- length(v[[1]])
      n <- length(v[[2]])
      w <- suppressWarnings(wilcox.test(v[[1]], v[[2]], exact = TRUE, conf.int = TRUE, conf.level = v[[3]]))
      say(w$estimate, w$conf.int, level(function(a) qwilcox(a, m, n), function(k) pwilcox(k, m, n), v[[3]])[2], w$p.value)
    },
    shiftlevel = say(level(function(a) qwilcox(a, v[[1]], v[[2]]), function(k) pwilcox(k, v[[1]], v[[2]]), v[[3]])),
    friedman = {
      k <- v[[1]]
      y <- matrix(v[[2]], ncol = k, byrow = TRUE)
      n <- nrow(y)
      q <- unname(friedman.test(y)$statistic)
      f <- (n - 1) * q / (n * (k - 1) - q)
      say(f, k - 1, (k - 1) * (n - 1), pf(f, k - 1, (k - 1) * (n - 1), lower.tail = FALSE))
    },
    holm = say(p.adjust(v[[1]], "holm")),
    binom = say(binom.test(v[[1]], v[[2]], conf.level = v[[3]])$conf.int,
      binom.test(v[[1]], v[[2]], alternative = "less", conf.level = v[[3]])$conf.int[2])
  )
}
