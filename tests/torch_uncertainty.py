"""UE-DPO written plainly in torch: the equations of arXiv 2605.04874, one response at a time."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch_reference import Reader

Pixels = torch.Tensor


def response_logits(
    model: torch.nn.Module, reader: Reader, pixels: Pixels, prompt: str, response: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits that predict each response token, [R, V], and the tokens."""
    question, answer = reader.sequence(prompt, response)
    logits = model(input_ids=torch.tensor([[*question, *answer]]), pixel_values=pixels).logits[0, len(question) - 1 : -1].float()
    return logits, torch.tensor(answer)


def kept_variance(step: int) -> torch.Tensor:
    """ᾱ of the sigmoid schedule."""
    betas = torch.sigmoid(torch.linspace(-6, 6, 1000, dtype=torch.float64)) * (0.005 - 1e-5) + 1e-5
    return torch.cumprod(1 - betas, 0)[step].float()


def token_weights(
    clear: torch.Tensor, noised: torch.Tensor, tokens: torch.Tensor, *, alpha: float, tau: float, preferred: bool
) -> torch.Tensor:
    """λ of each token from its logits under the clear and the noised image."""
    places = torch.arange(len(tokens))
    sensitivity = clear[places, tokens] - noised[places, tokens]
    uncertainty = clear[places, noised.argmax(1)] - clear[places, tokens]
    low, high = (torch.quantile(sensitivity, share) for share in (tau, 1 - tau))
    selected = sensitivity < low if preferred else sensitivity >= high
    weights = torch.ones(len(tokens))
    if selected.any():
        own = uncertainty[selected]
        spread = own.std(correction=0)
        standing = torch.full_like(own, 0.5) if spread < 1e-6 else torch.sigmoid((own - torch.quantile(own, 0.25)) / spread)
        weights[selected] += alpha * standing if preferred else -alpha * standing
    return weights


def ue_dpo(
    policy: torch.nn.Module,
    reference: torch.nn.Module,
    reader: Reader,
    record: dict,
    noise: Callable[[Pixels], Pixels],
    *,
    beta: float,
    alpha: float,
    tau: float,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """One record's loss, and the weights of its tokens by response. noise: from normalised pixels to v'."""
    pixels = reader.pixels(record["image"])
    rewards, weights = {}, {}
    for response in ("chosen", "rejected"):
        logits, tokens = response_logits(policy, reader, pixels, record["prompt"], record[response])
        with torch.no_grad():
            noised, _ = response_logits(policy, reader, noise(pixels), record["prompt"], record[response])
            theirs, _ = response_logits(reference, reader, pixels, record["prompt"], record[response])
            own = token_weights(logits, noised, tokens, alpha=alpha, tau=tau, preferred=response == "chosen")
        places = torch.arange(len(tokens))
        logps, reference_logps = (F.log_softmax(one, 1)[places, tokens] for one in (logits, theirs))
        rewards[response] = beta * ((own * logps).sum() - reference_logps.sum())
        weights[response] = own
    return -F.logsigmoid(rewards["chosen"] - rewards["rejected"]), weights
