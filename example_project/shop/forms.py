"""What a visitor may ask for."""

from django import forms

from example_project.shop.models import Template


class CampaignForm(forms.Form):
    """Choose the template of a campaign."""

    template = forms.ModelChoiceField(
        Template.objects.all(),
        error_messages={"invalid_choice": "That template is gone. Please choose another one."},
    )
