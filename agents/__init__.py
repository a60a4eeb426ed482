"""The agents: one LangGraph workflow in which intake, data, quant, risk and decision call deterministic tools.

No formulas here.
"""
