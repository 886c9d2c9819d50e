"""From exports of evaluations to tables and one page that opens from disk. Computes no figure, knows no benchmark."""
