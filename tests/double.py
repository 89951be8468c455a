"The command line in float64, where rounding cannot hide a difference: python tests/double.py train ..."
import sys

import torch

torch.set_default_dtype(torch.float64)
torch.Tensor.float = torch.Tensor.double # what the package brings to float32 stays exact

from hi3_nb.commands import main  # noqa: E402

if __name__ == '__main__': sys.exit(main(sys.argv[1:]))
